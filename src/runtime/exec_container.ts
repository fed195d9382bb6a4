/**
 * Another process in a container that runs. Pure: nothing happens here.
 *
 * The tape is played by two processes:
 *
 *     waiter      the container's user namespace; forks copiers and the program; waits for them          (host's view)
 *       └ program the container's other namespaces and root; limits, ids, filter; executes the program   (container's)
 *
 * Both are closed to ptrace before they join anything, so that nothing in the container sees into them, and the
 * program's process has none of our descriptors left when it enters its working directory.
 *
 * @module
 */
import { outsideId } from "#linux/idmap.ts";
import { PR_SET_DUMPABLE } from "#linux/prctl.ts";
import { SIGNALS } from "#linux/signals.ts";
import type { NamespaceType } from "#oci/runtime_spec.ts";
import { operate, type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { processSteps } from "./enter_steps.ts";
import { copierBuffers, copierSteps, endCopiersSteps, endPipeSteps } from "./exec_copier_steps.ts";
import { containerDevptsSteps, DEVPTS_BUFFERS } from "./exec_terminal_steps.ts";
import { type ExecSetup, TARGET_FD } from "./exec_setup.ts";
import { forkStep, GROUP_BUFFERS, joinGroupSteps } from "./group_steps.ts";
import { blockSignalsStep, exitRecordSteps } from "./monitor_steps.ts";
import { place } from "./mount_steps.ts";
import { oomScoreSteps } from "./oom_score_steps.ts";
import { NAMESPACE_FLAGS } from "./namespace_steps.ts";
import { affinitySteps, execErrnoBytes } from "./process_steps.ts";
import { ENGINE_FAILED, REPORT_FD } from "./setup.ts";
import { consoleControl, openTerminalSteps, sendTerminalSteps } from "./terminal_steps.ts";
import { ERROR_FD } from "./map_ids.ts";
import { TTY_GROUP } from "./spec_mount_steps.ts";

/** Those that a process joins for its children, or that its rights come from. */
const OUTER: ReadonlySet<NamespaceType> = new Set(["user", "pid", "time"]);

/** Plans a process that enters a container. */
export function planExec(setup: ExecSetup): Tape {
  const { process, stdio, namespaces } = setup;
  const relays = stdio.kind === "inherit" ? stdio.relays : [];
  const steps: Step[] = [
    blockSignalsStep(),
    // while /proc is the machine's, and its files are still ours
    ...oomScoreSteps(process.oomScoreAdj),
    step("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], "be closed to", "ptrace"),
    ...endPipeSteps(relays),
    ...copierSteps(relays),
    ...(setup.inGroup === true ? joinGroupSteps() : []),
    ...joinSteps(namespaces.filter((type) => OUTER.has(type)), "the container's user and pid namespaces"),
    forkStep(setup.inGroup === true, 0, "the program's process", {
      id: "program",
      jump: { when: "zero", to: "in program" },
      hints: {
        EAGAIN: "the limit of processes is reached (ulimit -u)",
        ENOMEM: "the container's first process has just ended",
      },
    }),
    ...waitSteps(setup),

    place("in program", "the program's process"),
    // no terminal of the caller's is the controlling one
    step("setsid", [], "lead", "a new session"),
    ...affinitySteps(setup.affinity),
    ...joinSteps(namespaces.filter((type) => !OUTER.has(type)), "the container's other namespaces"),
    step("umask", [process.user.umask ?? 0o022], "set", "umask"),
    ...terminalSteps(setup),
    ...processSteps({ ...setup, spec: specOf(setup), init: false }, process),
  ];
  return { steps, buffers: buffersOf(setup), errorFd: ERROR_FD };
}

function buffersOf({ stdio, inGroup }: ExecSetup): Map<string, TapeBuffer> {
  return new Map<string, TapeBuffer>([
    ["pid", { sizeBytes: 8 }],
    ["status", { sizeBytes: 8 }],
    ["cwd", { sizeBytes: 4096 }],
    ["exec errno", { sizeBytes: 8, bytes: execErrnoBytes() }],
    ...(inGroup === true ? GROUP_BUFFERS : []),
    ...(stdio.kind === "terminal"
      ? [["console control", { sizeBytes: 24, bytes: consoleControl() }] as const, ...DEVPTS_BUFFERS]
      : copierBuffers(stdio.relays)),
  ]);
}

/** What the steps of every process of a container look at in a specification. */
function specOf({ process, namespaces }: ExecSetup) {
  return { ociVersion: "1.2.0", process, linux: { namespaces: namespaces.map((type) => ({ type })) } };
}

/** Joins namespaces of the container by its pidfd: whatever becomes of its pid, they are of one process (Linux 5.8). */
function joinSteps(types: readonly NamespaceType[], what: string): Step[] {
  const flags = types.reduce((sum, type) => sum | NAMESPACE_FLAGS[type], 0);
  if (flags === 0) return [];
  return [
    step("setns", [TARGET_FD, flags], "join", what, {
      hints: {
        ESRCH: "the container has just ended",
        EPERM: "it belongs to a user namespace that is not yours, or its first process is closed to you",
      },
    }),
  ];
}

function terminalSteps({ stdio, map, process: { user } }: ExecSetup): Step[] {
  if (stdio.kind !== "terminal") return [];
  const gid = outsideId(map.gid, TTY_GROUP) === undefined ? user.gid : TTY_GROUP;
  return [
    ...containerDevptsSteps(),
    ...openTerminalSteps(stdio, { uid: user.uid, gid }),
    ...sendTerminalSteps(),
  ];
}

/** Tells the program's pid, waits for its end and tells that. The program runs already: failures are its own from here on. */
function waitSteps({ stdio, keepsRecord }: ExecSetup): Step[] {
  const relays = stdio.kind === "inherit" ? stdio.relays : [];
  return [
    step("close_range", [0, 2, 0], "close", "the streams", { jump: { when: "error", to: "lost" } }),
    step("close", [ERROR_FD], "close", "the error pipe", { ignore: true }),
    operate("store", [{ buffer: "pid" }, { result: "program" }, 4], "note the pid"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid", { jump: { when: "error", to: "lost" } }),
    step("wait4", [{ result: "program" }, { buffer: "status" }, 0, 0], "wait for", "the program", {
      retry: true,
      jump: { when: "error", to: "lost" },
    }),
    ...endCopiersSteps(relays),
    ...(keepsRecord ? exitRecordSteps() : []),
    step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end", { ignore: true }),
    step("exit_group", [0], "end", "the waiter"),
    // nobody has heard of the program, or its end cannot be known
    place("lost", "the program is lost"),
    step("kill", [{ result: "program" }, SIGNALS.KILL], "end", "the program", { ignore: true }),
    step("exit_group", [ENGINE_FAILED], "end", "the waiter"),
  ];
}
