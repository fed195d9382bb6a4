/**
 * The user's shared namespaces: one user namespace, and one network namespace of it, in which the bridges of all networks are.
 * A process holds them that does nothing else: a tape, asleep.
 *
 *     RUN/network/holder.json    which process it is
 *
 * Containers of networks have their user namespaces below the shared one, so that a process there may put links into them, and
 * nobody in a container has rights over the bridges.
 *
 * @module
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { IdMap } from "#linux/idmap.ts";
import { mapText } from "#linux/idmap.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { NS_GET_USERNS } from "#linux/ioctl.ts";
import { CLONE_NEWNET, CLONE_NEWUSER } from "#linux/namespaces.ts";
import { PR_SET_NAME } from "#linux/prctl.ts";
import { readBootId, readStartTime } from "#linux/proc.ts";
import { chooseIdMap, type Identity } from "#runtime/identity.ts";
import { ERROR_FD } from "#runtime/map_ids.ts";
import { NETWORK_FD } from "#runtime/monitor_fds.ts";
import { startInUserNamespace, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "#runtime/user_namespace.ts";
import { delay } from "#storage/delay.ts";
import { tryLock } from "#storage/flock.ts";
import { settingSteps } from "./setting_steps.ts";
import { writeState } from "./write_state.ts";
import { failureError, startTape } from "#tape/play.ts";
import { type Playing, readFailure, waitFor } from "#tape/play_encoded.ts";
import { jumpTo, mark, type Step, step, type Tape } from "#tape/step.ts";

/** A process that holds the namespaces. */
export interface Holder {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  /** What its user namespace maps. */
  readonly map: IdMap;
}

/** The files of a holder's namespaces. */
export function holderNamespaces({ pid }: Holder): { userNamespace: string; networkNamespace: string } {
  return { userNamespace: `/proc/${pid}/ns/user`, networkNamespace: `/proc/${pid}/ns/net` };
}

export function networkDirectory(runRoot: string): string {
  return join(runRoot, "network");
}

const LOCK_POLL_MS = 2;

/** Does something to what runs of networks while no other process does. The lock ends with the process that holds it. */
export async function withNetworkLock<T>(runRoot: string, act: () => T | Promise<T>): Promise<T> {
  const directory = networkDirectory(runRoot);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const fd = openSync(join(directory, "lock"), "a", 0o600);
  try {
    while (tryLock(fd) === "busy") await delay(LOCK_POLL_MS);
    return await act();
  } finally {
    closeSync(fd);
  }
}

function holderPath(runRoot: string): string {
  return join(networkDirectory(runRoot), "holder.json");
}

/** The holder that lives; undefined where there is none. */
export function findHolder(runRoot: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(holderPath(runRoot), "utf8")) as Holder;
    return holder.bootId === readBootId() && readStartTime(holder.pid) === holder.startTime ? holder : undefined;
  } catch {
    // none yet, or half of it after a full disk
    return undefined;
  }
}

/** The map of the shared namespace: all ids that a container of the user's can have. */
export function sharedMap(identity: Identity): IdMap {
  return chooseIdMap(identity, { kind: "default" }, { uid: 0, gid: 0 });
}

/** What a holder of new namespaces does. */
export function planHolder(map: IdMap): Tape {
  return {
    steps: [
      ...userNamespaceSteps(map),
      step("unshare", [CLONE_NEWNET], "make", "network namespace", {
        hints: { ENOSPC: "the limit of network namespaces is reached (sysctl user.max_net_namespaces)" },
      }),
      // bridges carry frames and have no addresses
      ...settingSteps("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"),
      ...settingSteps("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
      ...holdSteps(),
    ],
    buffers: new Map(USER_NAMESPACE_BUFFERS),
    errorFd: ERROR_FD,
  };
}

/** What a holder does that takes over: another one was killed, and a container's monitor still has its network namespace. */
export function planSuccessor(monitor: number): Tape {
  const path = `/proc/${monitor}/fd/${NETWORK_FD}`;
  return {
    steps: [
      step("openat", [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0], "open the network namespace of", path, {
        id: "network",
      }),
      step("ioctl", [{ result: "network" }, NS_GET_USERNS, 0], "open the user namespace of", path, { id: "user" }),
      step("setns", [{ result: "user" }, CLONE_NEWUSER], "join", "the shared user namespace"),
      step("setns", [{ result: "network" }, CLONE_NEWNET], "join", "the shared network namespace"),
      ...holdSteps(),
    ],
    buffers: new Map(),
    errorFd: ERROR_FD,
  };
}

function holdSteps(): Step[] {
  return [
    step("prctl", [PR_SET_NAME, "dugout-network", 0, 0, 0], "be called", "dugout-network"),
    // its end tells that the namespaces are there
    step("close_range", [0, 0xffffffff, 0], "close", "all descriptors"),
    mark("hold", "hold the namespaces"),
    step("ppoll", [0, 0, 0, 0, 0], "wait for", "a signal that ends it", { ignore: true }),
    jumpTo("hold", "go on"),
  ];
}

/** Starts a holder; the caller has the network's lock, and there is none. @throws {DugoutError | OsError} */
export function startHolder(runRoot: string, identity: Identity): Holder {
  const map = sharedMap(identity);
  const tape = planHolder(map);
  return noteHolder(runRoot, map, tape, startInUserNamespace(tape, map, [], STARTED_AS));
}

/** The same from what is left of one that was killed. @throws {OsError} Where the monitor has ended, too. */
export function startSuccessor(runRoot: string, identity: Identity, monitor: number): Holder {
  const tape = planSuccessor(monitor);
  return noteHolder(runRoot, sharedMap(identity), tape, startTape(tape, { fds: [], ...STARTED_AS }));
}

const STARTED_AS = { name: "dugout-network", newSession: true };

function noteHolder(runRoot: string, map: IdMap, tape: Tape, { pid, errors }: Playing): Holder {
  const failure = readFailure(errors);
  close(errors);
  if (failure !== undefined) {
    waitFor(pid);
    throw failureError(tape, failure);
  }
  const holder: Holder = { pid, startTime: readStartTime(pid) ?? "", bootId: readBootId(), map };
  writeState(holderPath(runRoot), holder);
  return holder;
}

/** Ends a holder: what is still in its namespaces keeps them. */
export function endHolder(runRoot: string): void {
  const holder = findHolder(runRoot);
  rmSync(holderPath(runRoot), { force: true });
  if (holder !== undefined) process.kill(holder.pid, "SIGKILL");
}

/** Whether a holder's namespace maps what a container of this identity may need. */
export function fitsIdentity(holder: Holder, identity: Identity): boolean {
  const wanted = sharedMap(identity);
  return mapText(holder.map.uid) === mapText(wanted.uid) && mapText(holder.map.gid) === mapText(wanted.gid);
}
