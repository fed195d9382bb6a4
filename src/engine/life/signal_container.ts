/**
 * Signals to containers, and waiting for their end.
 *
 * @module
 */
import { existsSync, type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { findGroup, killGroup } from "#cgroup/find_group.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { ESRCH } from "#linux/errno_values.ts";
import { close } from "#linux/file.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { SIGNALS } from "#linux/signals.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { type ContainerStatus, readStatus, shownExitCode } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { readStartTime } from "#linux/proc.ts";
import type { ContainerState } from "../record/container_state.ts";
import { isOwnerAlive, whereabouts } from "../record/whereabouts.ts";

/**
 * Sends a signal to a container's first process: by a descriptor that refers to it and no other.
 * @returns false when it has ended already.
 * @throws {OsError} When the kernel refuses.
 */
export function signalContainer(state: ContainerState, signal: number): boolean {
  const pidfd = tryCall("pidfd_open", state.pid, 0);
  if (pidfd === -ESRCH) return false;
  if (pidfd < 0) throw failed("pidfd_open", state, pidfd);
  try {
    // the number may have been given to another process before it was opened, not afterwards
    if (readStartTime(state.pid) !== state.startTime) return false;
    const group = signal === SIGNALS.KILL ? findGroup(state.id, state.pid) : undefined;
    const result = tryCall("pidfd_send_signal", pidfd as Fd, signal, 0, 0);
    // all of it: with the host's pid namespace others do not end with the first process
    if (group !== undefined) killGroup(group.path);
    if (result === -ESRCH) return false;
    if (result < 0) throw failed("pidfd_send_signal", state, result);
    return true;
  } finally {
    close(pidfd as Fd);
  }
}

function failed(call: string, { id }: ContainerState, result: number): OsError {
  return new OsError({ call, object: `container ${id.slice(0, 12)}`, code: errnoName(-result) });
}

/**
 * Waits until a container does not run: one that was never started does not, as with docker.
 * @returns Its exit code.
 * @throws {DugoutError} EXIT_UNKNOWN, where it was removed.
 */
export async function waitForExitCode(engine: Engine, record: ContainerRecord): Promise<number> {
  const before = readStatus(engine, record, whereabouts());
  if (before.kind === "created" && !before.isStarting) return before.end?.exitCode ?? 0;
  const status = await waitForEnd(engine, record, undefined);
  if (status !== undefined) return shownExitCode({ status });
  throw new DugoutError(
    "EXIT_UNKNOWN",
    `The container ${quote(record.name)} has ended and was removed: its exit code is gone`,
    { exitCode: 1 },
  );
}

/** A monitor that was killed writes no end: its process is looked for so often. */
const LOOK_MS = 250;

/**
 * Waits for a container's end: the monitor's record of it, or that all is gone.
 * @param limitMs How long; undefined: without end.
 * @param until Or until the command that runs it has removed it, as long as that command lives.
 * @returns What has become of it: still `running` when the time was over; undefined when it was removed.
 */
export async function waitForEnd(
  engine: Engine,
  record: ContainerRecord,
  limitMs: number | undefined,
  until: "ended" | "removed" = "ended",
): Promise<ContainerStatus | undefined> {
  const stopMs = limitMs === undefined ? Infinity : performance.now() + limitMs;
  const directory = join(engine.runRoot, "containers", record.id);
  const here = whereabouts();
  for (;;) {
    let watcher: FSWatcher | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const left = Math.max(0, Math.min(LOOK_MS, stopMs - performance.now()));
    // watching begins before the look, so that nothing happens unseen between the two
    const change = new Promise<void>((resolve) => {
      try {
        watcher = watch(directory, () => resolve());
        watcher.on("error", () => resolve());
      } catch {
        // it is gone, or there are no watches left: the timer is enough
      }
      timer = setTimeout(resolve, left);
    });
    try {
      const status = lookAgain(engine, record, here);
      if (status === undefined || status.kind === "elsewhere") return status;
      if (status.kind === "exited" && (until === "ended" || !isOwnerAlive(record))) return status;
      if (performance.now() >= stopMs) return status;
      await change;
    } finally {
      watcher?.close();
      clearTimeout(timer);
    }
  }
}

/** What has become of it now; undefined when it is no longer on record. */
function lookAgain(
  engine: Engine,
  record: ContainerRecord,
  here: ReturnType<typeof whereabouts>,
): ContainerStatus | undefined {
  const status = readStatus(engine, record, here);
  return existsSync(join(engine.dataRoot, "containers", record.id, "config.json")) ? status : undefined;
}
