/**
 * The container's first process with a user namespace of its own, made in one that is there already. The process that forks it
 * has all rights there, so it writes the maps itself, and needs no newuidmap.
 *
 *     in the parent namespace                  in the container's
 *     clone(CLONE_NEWUSER) ──────────────────▶ waits
 *     uid_map, gid_map ───────────── byte ───▶ goes on, as the caller; makes the other namespaces
 *     what is made meanwhile ─────── byte ───▶ goes on to the root file system
 *     has it, unread, until the end  ◀──────── its mount namespace
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_RDONLY, O_WRONLY } from "#linux/file.ts";
import { type IdMap, type IdRange, mapText, mapWithin } from "#linux/idmap.ts";
import { CLONE_NEWPID, CLONE_NEWUSER } from "#linux/namespaces.ts";
import { AF_UNIX, CMSGHDR, MSG_NOSIGNAL, rightsMessage, SOCK_CLOEXEC, SOCK_STREAM } from "#linux/socket.ts";
import { mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { forkStep } from "./group_steps.ts";

const PROC = new TextEncoder().encode("/proc/");
const DIGITS = 16;
const EXIT_NOT_MAPPED = 125;
const CONTROL_BYTES = CMSGHDR.SIZE + 8;

/** The buffers of these steps. */
export const NEST_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["init sockets", { sizeBytes: 8 }],
  ["init byte", { sizeBytes: 8 }],
  ["init path", { sizeBytes: PROC.length + DIGITS, bytes: PROC }],
  ["mounts sent", { sizeBytes: CONTROL_BYTES, bytes: rightsMessage() }],
];

/** How the container's first process is made. */
export interface NestPlan {
  /** Its ids. */
  readonly map: IdMap;
  /** Those of the namespace that this process is in. */
  readonly parent: IdMap;
  /**
   * Whether it is the first one of a pid namespace of its own. That is made with it: a process whose children are in another one
   * can have no threads, and a monitor may become a program with threads.
   */
  readonly ownsPids: boolean;
  /** Whether it is born in the container's control group. */
  readonly inGroup: boolean;
  /** Done while the container makes its namespaces: what its root file system needs. */
  readonly meanwhile: readonly Step[];
}

/** Forks it as the step `init`; it goes on at `child`. */
export function forkNestedSteps({ map, parent, ownsPids, inGroup, meanwhile }: NestPlan, child: string): Step[] {
  const flags = CLONE_NEWUSER | (ownsPids ? CLONE_NEWPID : 0);
  return [
    step(
      "socketpair",
      [AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, { buffer: "init sockets" }],
      "make",
      "a pair of sockets",
    ),
    operate("load", [{ buffer: "init sockets" }, 0, 4], "its one end", { id: "to init" }),
    operate("load", [{ buffer: "init sockets", offset: 4 }, 0, 4], "its other end", { id: "from monitor" }),
    forkStep(inGroup, flags, "the container's first process", {
      id: "init",
      jump: { when: "zero", to: child },
      hints: {
        EAGAIN: "the limit of processes is reached (ulimit -u)",
        ENOSPC: "a limit of namespaces is reached (sysctl user.max_user_namespaces, user.max_pid_namespaces)",
        EPERM: "this machine does not let plain users make user namespaces: `dugout check` says what to ask for",
      },
    }),
    step("close", [{ result: "from monitor" }], "close", "the other end"),
    operate("decimal", [{ buffer: "init path", offset: PROC.length }, { result: "init" }, DIGITS], "which one it is"),
    step(
      "openat",
      [AT_FDCWD, { buffer: "init path" }, O_PATH | O_DIRECTORY | O_CLOEXEC, 0],
      "open",
      "its directory in /proc",
      {
        id: "init directory",
      },
    ),
    ...writeMapSteps("uid_map", mapWithin(map.uid, parent.uid)),
    ...writeMapSteps("gid_map", mapWithin(map.gid, parent.gid)),
    step("close", [{ result: "init directory" }], "close", "its directory in /proc"),
    tellStep("ids are mapped"),
    ...(meanwhile.length === 0 ? [] : [...meanwhile, tellStep("all is made")]),
  ];
}

function writeMapSteps(name: string, ranges: readonly IdRange[]): Step[] {
  const text = mapText(ranges);
  return [
    step("openat", [{ result: "init directory" }, name, O_WRONLY | O_CLOEXEC, 0], "open", name, { id: name }),
    step("write", [{ result: name }, text, text.length], "write", name),
    step("close", [{ result: name }], "close", name),
  ];
}

/** One that has failed meanwhile has told why before this fails. */
function tellStep(what: string): Step {
  return step("sendto", [{ result: "to init" }, "m", 1, MSG_NOSIGNAL, 0, 0], "tell", what, { retry: true });
}

/** What that process does first. */
export function awaitMapSteps(): Step[] {
  return [step("close", [{ result: "to init" }], "close", "the other end"), ...awaitSteps("ids are mapped here")];
}

/** What it does before it needs what is made meanwhile. */
export function awaitMadeSteps(): Step[] {
  return awaitSteps("all is made here");
}

function awaitSteps(what: string): Step[] {
  return [
    step("read", [{ result: "from monitor" }, { buffer: "init byte" }, 1], "wait until", what, {
      retry: true,
      jump: { when: "nonzero", to: what },
    }),
    // whoever forked it has told its own failure
    step("exit_group", [EXIT_NOT_MAPPED], "leave", ""),
    mark(what, what),
  ];
}

/**
 * Leaves its mount namespace to the monitor, in a message that is not read. A mount namespace is taken apart with its last process,
 * before that process's end can be seen; now it is when the monitor has told the end, and closes its socket.
 */
export function leaveMountsSteps(): Step[] {
  return [
    step("openat", [AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC, 0], "open", "the own mount namespace", {
      id: "own mounts",
    }),
    operate(
      "store",
      [{ buffer: "mounts sent", offset: CMSGHDR.SIZE }, { result: "own mounts" }, 4],
      "note the descriptor",
    ),
    step(
      "sendmsg",
      [
        { result: "from monitor" },
        {
          struct: [0, 0, { struct: [{ buffer: "init byte" }, 1] }, 1, { buffer: "mounts sent" }, CONTROL_BYTES, 0],
        },
        MSG_NOSIGNAL,
      ],
      "leave to the monitor",
      "the own mount namespace",
    ),
    step("close", [{ result: "own mounts" }], "close", "the own mount namespace"),
  ];
}

/** Lets go of it. */
export function dropMountsStep(): Step {
  return step("close", [{ result: "to init" }], "let go of", "the container's mounts", { ignore: true });
}
