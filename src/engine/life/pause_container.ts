/**
 * Pausing containers: their control group is frozen, so that no process of them runs, and none notices.
 *
 * @module
 */
import { type ContainerGroup, findGroup } from "#cgroup/find_group.ts";
import { freezeGroup } from "#cgroup/freeze.ts";
import { DugoutError } from "#oci/error.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { notRunning } from "../record/exec_target.ts";
import type { ContainerState } from "../record/container_state.ts";
import { whereabouts } from "../record/whereabouts.ts";

/**
 * Pauses a container.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING, ALREADY_PAUSED, PAUSE_IMPOSSIBLE.
 */
export function pauseContainer(engine: Engine, record: ContainerRecord): void {
  const { state, isPaused } = requireState(engine, record);
  if (isPaused) {
    throw new DugoutError("ALREADY_PAUSED", `Container ${record.id} is already paused`, { exitCode: 1 });
  }
  freezeGroup(requireGroup(state).path, true);
  noteEvent(engine, containerEvent(record, "pause"));
}

/**
 * Lets a paused container go on.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING, NOT_PAUSED.
 */
export function unpauseContainer(engine: Engine, record: ContainerRecord): void {
  const { state, isPaused } = requireState(engine, record);
  if (!isPaused) throw new DugoutError("NOT_PAUSED", `Container ${record.id} is not paused`, { exitCode: 1 });
  freezeGroup(requireGroup(state).path, false);
  noteEvent(engine, containerEvent(record, "unpause"));
}

/** A paused container that is to end must run to do so: as docker has it. */
export function thaw({ id, pid }: ContainerState): void {
  const group = findGroup(id, pid);
  if (group !== undefined) freezeGroup(group.path, false);
}

/** Whether a container can be paused while something is done, and does not run already paused. */
export function canPause(engine: Engine, record: ContainerRecord): boolean {
  const status = readStatus(engine, record, whereabouts());
  return status.kind === "running" && findGroup(record.id, status.state.pid) !== undefined;
}

/** Pauses a container that runs while something is done with its files. */
export async function whilePaused<T>(engine: Engine, record: ContainerRecord, act: () => Promise<T>): Promise<T> {
  const status = readStatus(engine, record, whereabouts());
  if (status.kind !== "running" || status.isPaused) return await act();
  pauseContainer(engine, record);
  try {
    return await act();
  } finally {
    const then = readStatus(engine, record, whereabouts());
    if (then.kind === "running" && then.isPaused) unpauseContainer(engine, record);
  }
}

function requireState(engine: Engine, record: ContainerRecord): { state: ContainerState; isPaused: boolean } {
  const status = readStatus(engine, record, whereabouts());
  if (status.kind !== "running") throw notRunning(record.id);
  return { state: status.state, isPaused: status.isPaused === true };
}

function requireGroup({ id, pid }: ContainerState): ContainerGroup {
  const group = findGroup(id, pid);
  if (group !== undefined) return group;
  throw new DugoutError(
    "PAUSE_IMPOSSIBLE",
    `Cannot pause the container ${
      id.slice(0, 12)
    }: only a control group of its own can be frozen as a whole, and it has none`,
    {
      exitCode: 1,
      hint:
        "detached containers, and those with a limit, have one where control groups are delegated: 'dugout check' " +
        "says whether; 'dugout kill -s STOP' stops its first process, and '-s CONT' lets it go on",
    },
  );
}
