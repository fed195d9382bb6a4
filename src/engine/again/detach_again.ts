/**
 * Starting a container by a remembered plan that its caller leaves: what its monitor keeps is opened here, and where it runs is
 * written down for other commands.
 *
 * @module
 */
import { addressOf, cString } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "#linux/call.ts";
import {
  AT_FDCWD,
  close,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDWR,
  tryMakeMemfd,
  writeAll,
} from "#linux/file.ts";
import { type Running } from "#runtime/launch_container.ts";
import { LAST_WORK_FD, MONITOR_TAPE_FD, PLAYER_FD } from "#runtime/monitor_fds.ts";
import { tryLock } from "#storage/flock.ts";
import { makeTapeFile } from "#tape/play_encoded.ts";
import { openPlayer } from "#tape/player_file.ts";
import { containerEvent, type EventSubject, noteEvents } from "../events/events.ts";
import { openKeptStdio } from "../streams/kept_stdio.ts";
import type { OwnValues } from "./holes.ts";
import type { DetachedPlan, RememberedPlan } from "./plan_file.ts";
import { stateOf } from "../record/container_state.ts";
import type { ContainerId } from "../record/container_id.ts";

/** Descriptors that such a container is started with. */
export interface DetachedFds {
  readonly stdio: readonly [Fd, Fd, Fd];
  readonly others: readonly { child: number; ours: Fd }[];
  /** Closes the container's ends of the pipes: they are the container's alone. */
  release(): void;
  /** Closes all. */
  close(): void;
}

/** Opens them. What the monitor is to do at the end is written before the start, as one that fails leaves nothing. */
export function openDetached(
  plan: RememberedPlan,
  detached: DetachedPlan,
  monitor: Uint8Array,
  own: OwnValues,
): DetachedFds {
  const stdio = openKeptStdio({ tty: false, interactive: detached.interactive, stdin: undefined, user: plan });
  const work = expectResult(tryMakeMemfd("dugout-work", false), "memfd_create", "dugout-work") as Fd;
  const { dataRoot, runRoot } = plan;
  const { id, startedMs } = own;
  if (detached.removes) writeAll(work, new TextEncoder().encode(JSON.stringify({ dataRoot, runRoot, id, startedMs })));
  const player = openPlayer();
  const tape = makeTapeFile(monitor);
  return {
    stdio: stdio.stdio,
    others: [
      ...stdio.others,
      { child: LAST_WORK_FD, ours: work },
      { child: PLAYER_FD, ours: player.fd },
      { child: MONITOR_TAPE_FD, ours: tape },
    ],
    release: () => stdio.close(),
    close() {
      stdio.close();
      [work, tape].forEach(close);
      player[Symbol.dispose]();
    },
  };
}

/** Takes the lock under which containers are started and removed; nobody else knows of this one yet. */
export function lockOwn({ runRoot }: RememberedPlan, { id }: OwnValues): Fd | undefined {
  const directory = cString(`${runRoot}/locks`);
  // mostly it is there
  tryCall("mkdirat", AT_FDCWD, addressOf(directory), 0o700);
  const fd = openNew(`${runRoot}/locks/${id}`);
  if (fd !== undefined) tryLock(fd);
  return fd;
}

/** Writes down where it runs, and tells of it. */
export function leaveDetached(plan: RememberedPlan, own: OwnValues, running: Running, subject: EventSubject): void {
  const { id, name, startedMs } = own;
  const state = stateOf({ id: id as ContainerId, name, running, map: plan.map, startedMs });
  writeWhole(`${plan.runRoot}/containers/${id}/state.json`, JSON.stringify(state));
  noteEvents(plan, [containerEvent(subject, "create", {}, startedMs), containerEvent(subject, "start", {}, startedMs)]);
  running.leave();
}

/** Beside, then renamed. Where that cannot be, the next command that looks finds the container by its monitor. */
function writeWhole(path: string, text: string): void {
  const fd = openNew(`${path}.new`);
  if (fd === undefined) return;
  try {
    writeAll(fd, new TextEncoder().encode(text));
  } catch {
    // a full disk
    return;
  } finally {
    close(fd);
  }
  const [from, to] = [cString(`${path}.new`), cString(path)];
  tryCall("renameat2", AT_FDCWD, addressOf(from), AT_FDCWD, addressOf(to), 0);
}

function openNew(path: string): Fd | undefined {
  const name = cString(path);
  const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const fd = tryCall("openat", AT_FDCWD, addressOf(name), flags, 0o600);
  return fd < 0 ? undefined : fd as Fd;
}
