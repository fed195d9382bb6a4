/**
 * Removing what a container leaves (runtime-spec, runtime.md, "Delete"). The bundle is not touched.
 *
 * @module
 */
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { parseRuntimeConfig } from "#oci/runtime_config.ts";
import {
  type BundleContainer,
  checkId,
  isAbandoned,
  readContainer,
  readKeptConfig,
  statusOf,
} from "./container_state.ts";
import { bundleError } from "./error.ts";
import { leaveGroup } from "./groups.ts";
import { hookState, runHooks } from "./hooks.ts";
import { killContainer } from "./signal.ts";

/** How long a killed container may take: a process that waits for a disk or a file server dies when that answers. */
const PATIENCE_MS = 10_000;

/** What happened to hooks is told, and stops nothing. */
export type Warn = (message: string) => void;

/**
 * Deletes a container that has ended; one that was created only is ended, and any with `force`.
 * @throws {DugoutError} CONTAINER_NOT_FOUND without `force`; CONTAINER_STATUS when it runs, or does not die.
 */
export function deleteContainer(root: string, id: string, force: boolean, warn: Warn): void {
  let container: BundleContainer;
  try {
    container = readContainer(root, id);
  } catch (error) {
    if (!(error instanceof DugoutError) || error.code !== "CONTAINER_NOT_FOUND") throw error;
    removeHalfMade(root, id);
    if (force) return;
    throw error;
  }
  const status = statusOf(container);
  if (status !== "stopped") {
    if (!force && status !== "created") {
      throw bundleError("CONTAINER_STATUS", `cannot delete container ${id} that is not stopped: ${status}`);
    }
    if (!killContainer(container, PATIENCE_MS)) {
      throw bundleError("CONTAINER_STATUS", `container ${id} was killed, and has not ended in ${PATIENCE_MS / 1000} s`);
    }
  }
  removeContainer(container, warn);
}

/** Removes the state of a container that has ended, then runs its poststop hooks. */
export function removeContainer(container: BundleContainer, warn: Warn): void {
  const hooks = readPoststop(container, warn);
  rmSync(container.directory, { recursive: true, force: true });
  leaveGroup(container.stored.group);
  for (const hook of hooks) {
    try {
      runHooks("poststop", [hook], hookState(container.stored, "stopped", undefined));
    } catch (error) {
      // the specification wants the others to run nevertheless
      if (!(error instanceof DugoutError)) throw error;
      warn(error.message);
    }
  }
}

function readPoststop(container: BundleContainer, warn: Warn) {
  try {
    return parseRuntimeConfig(readKeptConfig(container), "config.json").hooks?.poststop ?? [];
  } catch (error) {
    if (!(error instanceof DugoutError)) throw error;
    warn(error.message);
    return [];
  }
}

/** A directory without a state is what a killed `create` left, or what one has just begun. */
function removeHalfMade(root: string, id: string): void {
  const directory = join(root, checkId(id));
  const stat = lstatSync(directory, { throwIfNoEntry: false });
  if (stat?.isDirectory() && stat.uid === process.geteuid!() && isAbandoned(directory)) {
    rmSync(directory, { recursive: true, force: true });
  }
}
