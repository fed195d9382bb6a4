/**
 * The container's first process as a child of the monitor, though another process makes its pid namespace: one whose children
 * are in another pid namespace can have no threads (clone(2), EINVAL), and the monitor becomes a program with threads in the
 * end, where a container is to be removed.
 *
 *     monitor
 *       ├ between     pid namespace; forks; tells the pid; is gone
 *       └ init        with CLONE_PARENT: the monitor waits for it
 *
 * @module
 */
import { CLONE_PARENT } from "#linux/clone.ts";
import { O_CLOEXEC } from "#linux/file.ts";
import { SIGNALS } from "#linux/signals.ts";
import { forkStep } from "./group_steps.ts";
import { mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { ENGINE_FAILED } from "./setup.ts";

/** The buffer that {@linkcode forkBetweenSteps} needs besides `pid`. */
export const FORK_BETWEEN_BUFFERS: readonly (readonly [string, TapeBuffer])[] = [["pid pipe", { sizeBytes: 8 }]];

/** Forks the process between, which goes on at `between`, and learns which process is the container's first one: `init`. */
export function forkBetweenSteps(between: string): Step[] {
  const hints = { EAGAIN: "the limit of processes is reached (ulimit -u)" };
  return [
    step("pipe2", [{ buffer: "pid pipe" }, O_CLOEXEC], "make a pipe for", "the pid"),
    operate("load", [{ buffer: "pid pipe" }, 0, 4], "its reading end", { id: "pid reader" }),
    operate("load", [{ buffer: "pid pipe", offset: 4 }, 0, 4], "its writing end", { id: "pid writer" }),
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", "a process for the pid namespace", {
      id: "between pid",
      jump: { when: "zero", to: between },
      hints,
    }),
    step("close", [{ result: "pid writer" }], "close", "the pipe for the pid"),
    step("read", [{ result: "pid reader" }, { buffer: "pid" }, 4], "learn", "the pid", { retry: true }),
    step("wait4", [{ result: "between pid" }, 0, 0, 0], "wait for", "the process between", {
      retry: true,
      ignore: true,
    }),
    operate("load", [{ buffer: "pid" }, 0, 4], "the container's first process", {
      id: "init",
      jump: { when: "nonzero", to: "container is there" },
    }),
    // the process between has told its failure
    step("exit_group", [ENGINE_FAILED], "end", "the monitor"),
    mark("container is there", "the container's first process is there"),
  ];
}

/**
 * The process between.
 * @param enter Makes or joins the namespaces of children.
 * @param child Where the container begins.
 * @param inGroup Whether it is born in the container's control group.
 */
export function betweenSteps(between: string, enter: readonly Step[], child: string, inGroup: boolean): Step[] {
  return [
    mark(between, "the process between"),
    ...enter,
    forkStep(inGroup, CLONE_PARENT, "the container's first process", {
      id: "inner pid",
      jump: { when: "zero", to: child },
      hints: {
        EAGAIN: "the limit of processes is reached (ulimit -u)",
        ENOMEM: "the limit of pid namespaces is reached",
      },
    }),
    operate("store", [{ buffer: "pid" }, { result: "inner pid" }, 4], "note the pid"),
    step("write", [{ result: "pid writer" }, { buffer: "pid" }, 4], "tell", "the pid"),
    step("exit_group", [0], "end", "the process between"),
  ];
}
