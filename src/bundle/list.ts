/**
 * Containers as they are told of: `state` and `list`.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { DugoutError } from "#oci/error.ts";
import { type PrintedState, RUNTIME_SPEC_VERSION } from "#oci/runtime_state.ts";
import { type BundleContainer, readContainer, statusOf } from "./container_state.ts";

/** The state of a container by the specification, with what runc adds. */
export function describeState(container: BundleContainer): PrintedState {
  const { stored } = container;
  const status = statusOf(container);
  return {
    ociVersion: RUNTIME_SPEC_VERSION,
    id: stored.id,
    pid: status === "stopped" ? 0 : stored.pid,
    status,
    bundle: stored.bundle,
    rootfs: stored.rootfs,
    created: stored.created,
    ...(stored.annotations.size === 0 ? {} : { annotations: Object.fromEntries(stored.annotations) }),
    owner: stored.owner,
  };
}

/** All containers below a directory of states, by their ids. @param warn Told of what cannot be read. */
export function listContainers(root: string, warn: (message: string) => void): BundleContainer[] {
  let names: string[];
  try {
    names = readdirSync(root).sort();
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    try {
      return [readContainer(root, name)];
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      if (error.code !== "CONTAINER_NOT_FOUND") warn(error.message);
      return [];
    }
  });
}
