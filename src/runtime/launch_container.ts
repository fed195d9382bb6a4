/**
 * Starting an encoded container, and learning how it ended. Knows nothing of plans: what was remembered is started here
 * too, and need not load what plans.
 *
 * @module
 */
import { addressOf, allocate, openSource } from "#ffi/mod.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close, makePipe, writeAll } from "#linux/file.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { ESRCH } from "#linux/errno_values.ts";
import { DugoutError } from "#oci/error.ts";
import type { IdMap } from "#linux/idmap.ts";
import { type EncodedTape, type Failure, readFailure, startEncodedTape, waitFor } from "#tape/play_encoded.ts";
import { GROUP_FD } from "./group_steps.ts";
import { REPORT_FD, STATE_FD } from "./setup.ts";
import { startEncodedInUserNamespace } from "./map_ids.ts";

/** The descriptors of ours that a container is started with. */
export interface StartFds {
  /** The container's 0, 1 and 2; with a terminal of its own, nothing: /dev/null. */
  readonly stdio: readonly [Fd, Fd, Fd];
  /** What the copiers and the monitor use: the player's number, and ours. */
  readonly others: readonly { child: number; ours: Fd }[];
  /** The directory that gets the exit record; undefined where the tape opens it. */
  readonly state: Fd | undefined;
  /** Puts the monitor where it may start the container's control group, and gives the directory of that: see `group_steps.ts`. */
  readonly joinGroup?: ((monitor: Pid) => string) | undefined;
  /**
   * Closes our copies. Called as soon as the player has its own: the copiers end with the last holder of a pipe, and
   * the monitor ends with the copiers.
   */
  release(): void;
}

/** Tells a tape that waits for it where its control group is. @returns Why it cannot: the tape ends at the closed pipe. */
function tellGroup(pipe: Fd, join: () => string): { error: unknown } | undefined {
  try {
    writeAll(pipe, new TextEncoder().encode(join()));
    return undefined;
  } catch (error) {
    return { error };
  } finally {
    close(pipe);
  }
}

/** A container that runs. */
export interface Running {
  /** Its first process, as this machine sees it. */
  readonly pid: Pid;
  readonly monitor: Pid;
  /**
   * Refers to the first process and no other, whatever becomes of its number (pidfd_open(2)); undefined where it has ended
   * and the monitor has waited for it before this could be opened.
   */
  readonly pidfd: Fd | undefined;
  /**
   * Resolves with the wait status (wait4(2)) when the container has ended and its streams are drained; undefined when the
   * monitor was killed, which says nothing of the container.
   * @param quickMs For so long nothing else happens in this process: many containers are over in a moment, and to wait by
   * events costs most of a millisecond. Default 0.
   * @param whenItStays Called once when the container has run for longer than that.
   */
  wait(quickMs?: number, whenItStays?: () => void): Promise<number | undefined>;
  /** Whether the monitor has told the end, or is gone. */
  isOver(): boolean;
  /** Leaves the container to its monitor: for a process that is about to end, and will not wait. */
  leave(): void;
}

/** A container as it is started: its tape, and what goes with it. */
export interface Launch {
  readonly tape: EncodedTape;
  /** The ids of the user namespace that the tape makes; undefined where it joins one. */
  readonly map: IdMap | undefined;
  /** The error of a step that failed. */
  readonly describeFailure: (failure: Failure) => Error;
  /** Whether the monitor has something to do behind the end that it told, for which this process, about to end too, does not wait. */
  readonly monitorGoesOn?: boolean;
}

/**
 * Starts a container; returns when its program runs.
 * @throws What `describeFailure` gives when a step failed; what had been set up is gone with its processes.
 */
export function launchContainer(launch: Launch, fds: StartFds): Running {
  const report = makePipe();
  const group = fds.joinGroup === undefined ? undefined : makePipe();
  let playing;
  try {
    const all = [
      ...fds.stdio.map((ours, child) => ({ child, ours })),
      { child: REPORT_FD, ours: report.write },
      ...(fds.state === undefined ? [] : [{ child: STATE_FD, ours: fds.state }]),
      ...(group === undefined ? [] : [{ child: GROUP_FD, ours: group.read }]),
      ...fds.others,
    ];
    // the terminal's signals are for the engine, which passes them on
    const options = { name: "dugout-monitor", newSession: true };
    if (launch.map === undefined) {
      playing = startEncodedTape(launch.tape, { fds: all, ...options });
    } else {
      playing = startEncodedInUserNamespace(launch.tape, launch.map, {
        fds: all,
        ...options,
      });
    }
  } catch (error) {
    close(report.read);
    if (group !== undefined) close(group.write);
    throw error;
  } finally {
    close(report.write);
    if (group !== undefined) close(group.read);
    fds.release();
  }
  const { pid: monitor, errors } = playing;
  const refused = group === undefined ? undefined : tellGroup(group.write, () => fds.joinGroup!(monitor));
  const pid = readWord(report.read) as Pid | undefined;
  const pidfd = pid === undefined ? -1 : tryCall("pidfd_open", pid, 0);
  const failure = readFailure(errors);
  close(errors);
  if (failure !== undefined || pid === undefined) {
    waitFor(monitor);
    close(report.read);
    if (pidfd >= 0) close(pidfd as Fd);
    if (failure === undefined) throw refused?.error ?? lostMonitorError("before it had told anything");
    throw launch.describeFailure(failure);
  }
  const ours = pidfd === -ESRCH ? undefined : expectResult(pidfd, "pidfd_open", `process ${pid}`) as Fd;
  return {
    pid,
    monitor,
    pidfd: ours,
    async wait(quickMs = 0, whenItStays) {
      const isOver = quickMs > 0 && pollReadable(report.read, quickMs);
      if (!isOver) whenItStays?.();
      const status = isOver ? readLastWord(report.read) : await readWordLater(report.read);
      if (!launch.monitorGoesOn) waitFor(monitor);
      return status;
    },
    isOver: () => pollReadable(report.read, 0),
    leave() {
      close(report.read);
      if (ours !== undefined) close(ours);
    },
  };
}

/** Of a monitor that was killed. @param when It was, in words. */
export function lostMonitorError(when: string): DugoutError {
  return new DugoutError("MONITOR_LOST", `Cannot tell how the container ended: its monitor was killed ${when}`, {
    hint: "did somebody kill the process dugout-monitor, or did the machine run out of memory?",
  });
}

/** How often a process is looked for whose end nobody tells. */
const LOOK_AGAIN_MS = 50;

/** Waits for the end of a process that is no child of ours (any more): a pidfd can be read from then on. */
export async function waitForEnd(pidfd: Fd): Promise<void> {
  while (!pollReadable(pidfd, 0)) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
}

/** ppoll(2): whether a descriptor can be read, or is at its end, before the time is over. */
function pollReadable(fd: Fd, timeoutMs: number): boolean {
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, fd, true);
  view.setInt16(POLLFD.events, POLLIN, true);
  // struct timespec
  const time = allocate(16);
  new DataView(time.buffer).setUint32(8, timeoutMs * 1_000_000, true);
  return tryCall("ppoll", addressOf(entry), 1, addressOf(time), 0, 0) > 0;
}

/** Exit code of a wait status as a shell has it: the program's own, or 128 and the signal. */
export function exitCodeOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? waitStatus >> 8 & 0xff : 128 + signal;
}

function readWord(fd: Fd): number | undefined {
  const bytes = allocate(4);
  let result: number;
  do result = tryCall("read", fd, addressOf(bytes), 4); while (result === -4);
  return result === 4 ? new DataView(bytes.buffer).getInt32(0, true) : undefined;
}

function readLastWord(fd: Fd): number | undefined {
  try {
    return readWord(fd);
  } finally {
    close(fd);
  }
}

/**
 * Reads four bytes by events, since it takes as long as the container runs, and closes the descriptor. The monitor writes
 * them in one piece.
 */
async function readWordLater(fd: Fd): Promise<number | undefined> {
  const source = openSource(fd);
  const bytes = await source.read();
  await source.cancel();
  if (bytes === undefined || bytes.length < 4) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(0, true);
}
