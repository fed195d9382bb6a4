import { DugoutError } from "#oci/error.ts";
import { findContainer, readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { notRunning } from "../record/exec_target.ts";
import type { ContainerState } from "../record/container_state.ts";
import { whereabouts } from "../record/whereabouts.ts";

/**
 * Finds a container that runs here, by name, id, or the beginning of an id.
 * @throws {DugoutError} CONTAINER_UNKNOWN, CONTAINER_AMBIGUOUS, CONTAINER_NOT_RUNNING, CONTAINER_ELSEWHERE.
 */
export function requireRunning(engine: Engine, text: string): ContainerState {
  const { id, record } = findContainer(engine, text);
  if (record === undefined) throw notRunning(id);
  const status = readStatus(engine, record, whereabouts());
  if (status.kind === "running") return status.state;
  if (status.kind === "elsewhere") {
    throw new DugoutError("CONTAINER_ELSEWHERE", `container ${id} runs on the machine ${status.machine}, if it runs`, {
      exitCode: 1,
      hint: "this store is shared: go to that machine",
    });
  }
  throw notRunning(id);
}
