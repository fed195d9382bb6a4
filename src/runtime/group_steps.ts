/**
 * A container in a control group of its own: the tape is told where it is once its process was put beside it, and the
 * container's first process is born in it, so that no limit comes late. At the end it tells what has happened there.
 *
 * @module
 */
import { CLONE_ARGS, CLONE_INTO_CGROUP, CLONE_PARENT } from "#linux/clone.ts";
import { AT_FDCWD, AT_REMOVEDIR, O_CLOEXEC, O_DIRECTORY, O_RDONLY, O_WRONLY } from "#linux/file.ts";
import { SIGNALS } from "#linux/signals.ts";
import { compute, mark, operate, type Step, step, type StepOptions, type TapeBuffer } from "#tape/step.ts";
import { ENGINE_FAILED } from "./setup.ts";

/** A pipe over which the group's directory is told; then the directory. */
export const GROUP_FD = 28;

/** How a container's end is told of its group. */
export interface GroupSetup {
  /** The directory's name, where it is removed at the end; systemd removes its own. */
  readonly removes: string | undefined;
}

const MOST_PATH_BYTES = 4096;
const MOST_EVENTS_BYTES = 248;
const STATUS_BYTES = 4;

/** The exit record with the text of `memory.events` behind the wait status. */
export const END_RECORD_BYTES: number = STATUS_BYTES + MOST_EVENTS_BYTES;

/** The buffers that the steps here need; "status" holds the end's record. */
export const GROUP_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [
  ["group path", { sizeBytes: MOST_PATH_BYTES }],
  ...endGroupBuffers(),
];

/** Those of {@linkcode endGroupSteps}. */
export function endGroupBuffers(): [string, TapeBuffer][] {
  return [
    ["status", { sizeBytes: END_RECORD_BYTES + 4 }],
    ["record length", { sizeBytes: 8, bytes: Uint8Array.of(STATUS_BYTES, 0, 0, 0, 0, 0, 0, 0) }],
  ];
}

/** Waits for the group, and keeps its directory open. */
export function joinGroupSteps(): Step[] {
  return [
    step("read", [GROUP_FD, { buffer: "group path" }, MOST_PATH_BYTES - 1], "learn", "the control group", {
      retry: true,
      jump: { when: "nonzero", to: "group is known" },
    }),
    // end of file: it could not be made, and whoever wanted it knows why
    step("exit_group", [ENGINE_FAILED], "leave", ""),
    mark("group is known", "the control group is known"),
    step(
      "openat",
      [AT_FDCWD, { buffer: "group path" }, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0],
      "open",
      "the control group",
      {
        id: "group",
      },
    ),
    step("dup3", [{ result: "group" }, GROUP_FD, O_CLOEXEC], "keep", "the control group"),
    step("close", [{ result: "group" }], "close", "the control group"),
  ];
}

/**
 * Forks a process, into the group where there is one (clone3(2), Linux 5.7).
 * @param flags CLONE_* of linux/sched.h besides.
 */
export function forkStep(inGroup: boolean, flags: number, object: string, options: StepOptions): Step {
  if (!inGroup) return step("clone", [flags | SIGNALS.CHLD, 0, 0, 0, 0], "fork", object, options);
  const { hints, ...rest } = options;
  // with CLONE_PARENT the signal is that of the process which forks, and must not be given
  const signal = (flags & CLONE_PARENT) === 0 ? SIGNALS.CHLD : 0;
  const args = { struct: [BigInt(flags) | BigInt(CLONE_INTO_CGROUP), 0, 0, 0, signal, 0, 0, 0, 0, 0, GROUP_FD] };
  return step("clone3", [args, CLONE_ARGS.SIZE], "fork into the control group", object, {
    ...rest,
    hints: {
      ...hints,
      EBUSY: "the control group was divided meanwhile: it can have no processes of its own",
      EACCES: "the control group above both, or the container's, is not yours",
      ENODEV: "the control group was removed meanwhile",
    },
  });
}

/**
 * When the container has ended: what is left in its group is killed (a container in the host's pid namespace), what happened to
 * its memory is put behind the wait status, and its directory goes. Nothing of this is a failure.
 */
export function endGroupSteps({ removes }: GroupSetup): Step[] {
  const openIn = (name: string, flags: number, id: string, orElse: string) =>
    step("openat", [GROUP_FD, name, flags | O_CLOEXEC, 0], "open", name, { id, jump: { when: "error", to: orElse } });
  const steps: Step[] = [
    openIn("cgroup.kill", O_WRONLY, "group kill", "group killed"),
    step("write", [{ result: "group kill" }, "1", 1], "kill what is left in", "the control group", { ignore: true }),
    step("close", [{ result: "group kill" }], "close", "cgroup.kill", { ignore: true }),
    mark("group killed", "nothing lives on in it"),
    openIn("memory.events", O_RDONLY, "group events", "group told"),
    step(
      "read",
      [{ result: "group events" }, { buffer: "status", offset: STATUS_BYTES }, MOST_EVENTS_BYTES],
      "read",
      "memory.events",
      { id: "group events length", jump: { when: "error", to: "group told" } },
    ),
    step("close", [{ result: "group events" }], "close", "memory.events", { ignore: true }),
    compute("add", { result: "group events length" }, STATUS_BYTES, "the record's length", {
      id: "group record length",
    }),
    operate("store", [{ buffer: "record length" }, { result: "group record length" }, 8], "note it"),
    mark("group told", "what happened in it is known"),
  ];
  if (removes === undefined) return steps;
  return [
    ...steps,
    openIn("..", O_RDONLY | O_DIRECTORY, "group above", "group gone"),
    step("unlinkat", [{ result: "group above" }, removes, AT_REMOVEDIR], "remove", "the control group", {
      ignore: true,
    }),
    step("close", [{ result: "group above" }], "close", "the group above", { ignore: true }),
    mark("group gone", "it is gone, or will be swept"),
  ];
}
