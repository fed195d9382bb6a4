/**
 * Mapping the ids of a tape's user namespace by children of the tape: newuidmap and newgidmap run while the tape goes on, and
 * nobody outside has a hand in it.
 *
 * @module
 */
import { O_CLOEXEC } from "#linux/file.ts";
import type { IdMap, IdRange } from "#linux/idmap.ts";
import { CLONE_NEWUSER } from "#linux/namespaces.ts";
import { SIGNALS } from "#linux/signals.ts";
import { EPERM } from "#linux/errno_values.ts";
import { type Arg, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";

/** Where the two programs are: absolute paths. */
export interface MapProgramPaths {
  readonly uid: string;
  readonly gid: string;
}

/** The buffers that these steps need besides `status` and `go`. */
export const MAP_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["own pid", { sizeBytes: 16 }],
  ["go pipe", { sizeBytes: 8 }],
];

/** The descriptors by which a tape learns that somebody else's namespace is ready, and of that namespace. */
export interface HeldNamespace {
  /** Gives a byte when ids are mapped, and its end where they cannot be. */
  readonly mapped: number;
  readonly namespace: number;
}

/** Steps that join a user namespace which another process holds. @param meanwhile Done until its ids are mapped. */
export function joinHeldSteps({ mapped, namespace }: HeldNamespace, meanwhile: readonly Step[]): Step[] {
  return [
    ...meanwhile,
    step("read", [mapped, { buffer: "go" }, 1], "wait for", "id maps", {
      retry: true,
      jump: { when: "nonzero", to: "ids are mapped" },
    }),
    operate("fail", [EPERM], "map", { object: "subordinate ids" }),
    mark("ids are mapped", "ids are mapped"),
    step("setns", [namespace, CLONE_NEWUSER], "join", "user namespace"),
    ...[mapped, namespace].map((fd) => step("close", [fd], "close", `descriptor ${fd}`)),
  ];
}

/**
 * Steps that make a user namespace and get its ids mapped; after them the process has all capabilities in it.
 * @param meanwhile Done while the programs are at work.
 */
export function mapByChildrenSteps(map: IdMap, programs: MapProgramPaths, meanwhile: readonly Step[]): Step[] {
  return [
    step("getpid", [], "ask for", "the own pid", { id: "own pid" }),
    operate("decimal", [{ buffer: "own pid" }, { result: "own pid" }, 16], "write it in digits"),
    step("pipe2", [{ buffer: "go pipe" }, O_CLOEXEC], "make", "pipe"),
    operate("load", [{ buffer: "go pipe" }, 0, 4], "its one end", { id: "go read" }),
    operate("load", [{ buffer: "go pipe", offset: 4 }, 0, 4], "its other end", { id: "go write" }),
    ...mapSteps(programs.uid, map.uid),
    ...mapSteps(programs.gid, map.gid),
    step("unshare", [CLONE_NEWUSER], "make", "user namespace"),
    step("write", [{ result: "go write" }, "gg", 2], "tell", "user namespace is there"),
    step("close", [{ result: "go read" }], "close", "pipe"),
    step("close", [{ result: "go write" }], "close", "pipe"),
    ...meanwhile,
    ...[programs.uid, programs.gid].flatMap((program) => [
      step("wait4", [{ result: program }, { buffer: "status" }, 0, 0], "wait for", program, { retry: true }),
      operate("load", [{ buffer: "status" }, 0, 4], "how it ended", {
        id: `${program} status`,
        jump: { when: "nonzero", to: "ids are not mapped" },
      }),
    ]),
    operate("nop", [], "ids are mapped", { jump: { when: "always", to: "ids are mapped" } }),
    mark("ids are not mapped", "ids are not mapped"),
    operate("fail", [EPERM], "map", { object: "subordinate ids" }),
    mark("ids are mapped", "ids are mapped"),
  ];
}

/** Forks a child that executes the program as soon as the namespace is there. The program has no descriptor of ours. */
function mapSteps(program: string, ranges: readonly IdRange[]): Step[] {
  const words: Arg[] = [
    program,
    { buffer: "own pid" },
    ...ranges.flatMap(({ inside, outside, count }) => [inside, outside, count].map(String)),
    0,
  ];
  return [
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", program, {
      id: program,
      jump: { when: "nonzero", to: `${program} runs` },
    }),
    step("read", [{ result: "go read" }, { buffer: "go" }, 1], "wait for", "the user namespace", { retry: true }),
    step("close_range", [0, 0xffffffff, 0], "close", "all descriptors"),
    step("execve", [program, { struct: words }, { strings: [] }], "execute", program),
    mark(`${program} runs`, `${program} runs`),
  ];
}
