/**
 * The container's first process with a user namespace of its own, made in one that is there already. The process that forks it
 * has all rights there, so it writes the maps itself, and needs no newuidmap.
 *
 *     in the parent namespace              in the container's
 *     clone(CLONE_NEWUSER) ──────────────▶ waits
 *     uid_map, gid_map ─────── byte ─────▶ goes on, as the caller
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_DIRECTORY, O_PATH, O_WRONLY } from "#linux/file.ts";
import { type IdMap, type IdRange, mapText, mapWithin } from "#linux/idmap.ts";
import { CLONE_NEWPID, CLONE_NEWUSER } from "#linux/namespaces.ts";
import { mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { forkStep } from "./group_steps.ts";

const PROC = new TextEncoder().encode("/proc/");
const DIGITS = 16;
const EXIT_NOT_MAPPED = 125;

/** The buffers of these steps. */
export const NEST_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["map pipe", { sizeBytes: 8 }],
  ["init path", { sizeBytes: PROC.length + DIGITS, bytes: PROC }],
];

/**
 * Forks it as the step `init`; it goes on at `child`.
 * @param map Its ids, and those of the namespace that this process is in.
 * @param isPidOwner Whether it is the first one of a pid namespace of its own. That is made with it: a process whose children are
 * in another one can have no threads, and a monitor may become a program with threads.
 * @param inGroup Whether it is born in the container's control group.
 */
export function forkNestedSteps(
  { map, parent }: { readonly map: IdMap; readonly parent: IdMap },
  isPidOwner: boolean,
  child: string,
  inGroup: boolean,
): Step[] {
  const flags = CLONE_NEWUSER | (isPidOwner ? CLONE_NEWPID : 0);
  return [
    step("pipe2", [{ buffer: "map pipe" }, O_CLOEXEC], "make", "pipe"),
    operate("load", [{ buffer: "map pipe" }, 0, 4], "its one end", { id: "map read" }),
    operate("load", [{ buffer: "map pipe", offset: 4 }, 0, 4], "its other end", { id: "map write" }),
    forkStep(inGroup, flags, "the container's first process", {
      id: "init",
      jump: { when: "zero", to: child },
      hints: {
        EAGAIN: "the limit of processes is reached (ulimit -u)",
        ENOSPC: "a limit of namespaces is reached (sysctl user.max_user_namespaces, user.max_pid_namespaces)",
        EPERM: "this machine does not let plain users make user namespaces: `dugout check` says what to ask for",
      },
    }),
    step("close", [{ result: "map read" }], "close", "pipe"),
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
    step("write", [{ result: "map write" }, "m", 1], "tell", "ids are mapped"),
    step("close", [{ result: "map write" }], "close", "pipe"),
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

/** What that process does first. */
export function awaitMapSteps(): Step[] {
  return [
    step("close", [{ result: "map write" }], "close", "pipe"),
    step("read", [{ result: "map read" }, { buffer: "go" }, 1], "wait for", "id maps", {
      retry: true,
      jump: { when: "nonzero", to: "ids are mapped here" },
    }),
    // whoever forked it has told its own failure
    step("exit_group", [EXIT_NOT_MAPPED], "leave", ""),
    mark("ids are mapped here", "ids are mapped"),
    step("close", [{ result: "map read" }], "close", "pipe"),
  ];
}
