/**
 * A keeper with nothing to do for a while is a tape: it waits for the end of any of its containers, for being woken, and
 * for a time, and then executes this program again. So it takes less than 100 KB instead of a JavaScript runtime.
 *
 *     keeper ── starts the player, with the lock, and ends
 *     player ── ppoll(wake, containers…, time) ──▶ execve: keeper again, with the lock
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "#linux/call.ts";
import { EMFILE } from "#linux/errno_values.ts";
import { close, F_SETFD, FD_CLOEXEC, O_CLOEXEC } from "#linux/file.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { PR_SET_NAME } from "#linux/prctl.ts";
import { workerEnvironment } from "#runtime/launch_worker.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { IN_CLOSE_WRITE } from "#linux/inotify.ts";
import { packStruct } from "#tape/pack.ts";
import { startTape } from "#tape/play.ts";
import { step, type Tape } from "#tape/step.ts";
import type { Engine } from "../engine.ts";
import type { ContainerState } from "../record/container_state.ts";
import { KEEPER_ARGUMENT, keeperDirectory } from "./keeper_lock.ts";

/** The lock, in a keeper that was a tape. */
const LOCK_FD = 5;
const WAKE_FD = 6;
const ERROR_FD = 4;
const FIRST_PROCESS_FD = 7;
/** More are not waited for by name: the keeper looks again after a while. */
const MOST_PROCESSES = 500;
const LOOK_AGAIN_MS = 5_000;
/** Both processes have ended since the look. */
const SETTLE_MS = 50;

/** What tells a keeper that there is something to see. */
export interface Wake {
  readonly fd: Fd;
  /** Whether it never tells: the user has as many inotify instances as may be had, and one looks now and then. */
  readonly isDeaf: boolean;
}

/** Opens it, before the keeper looks, so that nothing is missed between the look and the sleep. */
export function openWake(places: Pick<Engine, "dataRoot" | "runRoot">): Wake {
  const directory = keeperDirectory(places);
  const opened = tryCall("inotify_init1", O_CLOEXEC);
  if (opened === -EMFILE) return { fd: call("eventfd2", "wake", 0, O_CLOEXEC) as Fd, isDeaf: true };
  const fd = expectResult(opened, "inotify_init1", directory) as Fd;
  call("inotify_add_watch", directory, fd, addressOf(cString(directory)), IN_CLOSE_WRITE);
  return { fd, isDeaf: false };
}

/** Takes over the lock in a keeper that was a tape. */
export function inheritedLock(): number {
  tryCall("fcntl", LOCK_FD, F_SETFD, FD_CLOEXEC);
  return LOCK_FD;
}

/**
 * Becomes a tape: when this returns, another process has the lock and waits, and this one has to end.
 * @param processes Of containers whose end wakes it.
 * @param forMs At most so long; undefined: without end.
 */
export function sleepAsTape(
  places: Pick<Engine, "dataRoot" | "runRoot">,
  lock: number,
  wake: Wake,
  processes: readonly Pick<ContainerState, "monitor" | "pid">[],
  forMs: number | undefined,
): void {
  const watched: Fd[] = [];
  const atMostMs = (ms: number) => void (forMs = Math.min(forMs ?? ms, ms));
  try {
    for (const { monitor, pid } of processes.slice(0, MOST_PROCESSES)) {
      // the monitor ends when the end is on record; one that was killed leaves the container
      const first = tryCall("pidfd_open", monitor, 0);
      const fd = first >= 0 ? first : tryCall("pidfd_open", pid, 0);
      if (fd < 0) atMostMs(SETTLE_MS);
      else watched.push(fd as Fd);
    }
    if (processes.length > MOST_PROCESSES || wake.isDeaf) atMostMs(LOOK_AGAIN_MS);
    const { errors } = startTape(planSleep(places, watched.length, forMs), {
      name: "dugout-keeper",
      fds: [
        { child: LOCK_FD, ours: lock as Fd },
        { child: WAKE_FD, ours: wake.fd },
        ...watched.map((ours, index) => ({ child: FIRST_PROCESS_FD + index, ours })),
      ],
    });
    close(errors);
  } finally {
    watched.forEach(close);
  }
}

function planSleep(
  { dataRoot, runRoot }: Pick<Engine, "dataRoot" | "runRoot">,
  count: number,
  forMs: number | undefined,
): Tape {
  const polled = new Uint8Array((count + 1) * POLLFD.SIZE);
  for (let index = 0; index <= count; index++) {
    polled.set(packStruct("pollfd", { fd: WAKE_FD + index, events: POLLIN }), index * POLLFD.SIZE);
  }
  const time = allocate(16);
  const words = new DataView(time.buffer);
  words.setBigInt64(0, BigInt(Math.floor((forMs ?? 0) / 1000)), true);
  words.setBigInt64(8, BigInt(Math.round((forMs ?? 0) % 1000) * 1_000_000), true);
  const argv = [...ownCommand(), KEEPER_ARGUMENT, dataRoot, runRoot, "awake"];
  return {
    steps: [
      step("prctl", [PR_SET_NAME, "dugout-keeper", 0, 0, 0], "be called", "dugout-keeper", { ignore: true }),
      step(
        "ppoll",
        [{ buffer: "polled" }, count + 1, forMs === undefined ? 0 : { buffer: "time" }, 0, 8],
        "wait for",
        "containers",
        { retry: true },
      ),
      // the lock alone is inherited
      step("close_range", [3, LOCK_FD - 1, 0], "close", "the tape"),
      step("close_range", [LOCK_FD + 1, 0xffffffff, 0], "close", "what was waited for"),
      step("execve", [argv[0]!, { strings: argv }, { strings: workerEnvironment() }], "become", "the keeper again"),
    ],
    buffers: new Map([
      ["polled", { sizeBytes: polled.length, bytes: polled }],
      ["time", { sizeBytes: 16, bytes: time }],
    ]),
    errorFd: ERROR_FD,
  };
}
