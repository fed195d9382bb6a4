/**
 * Another process in a bundle's container that runs. Pure: nothing happens here.
 *
 *     waiter      joins the user and pid namespaces, forks; tells the pid; is gone, or waits and tells the end  (host's view)
 *       └ program the other namespaces; ids, rights; executes the program                                       (container's)
 *
 * @module
 */
import { PR_SET_DUMPABLE } from "#linux/prctl.ts";
import type { NamespaceType } from "#oci/runtime_spec.ts";
import { operate, type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { containerDevptsSteps, DEVPTS_BUFFERS } from "../exec_terminal_steps.ts";
import { TARGET_FD } from "../exec_setup.ts";
import { blockSignalsStep, closeAllBut } from "../monitor_steps.ts";
import { place } from "../mount_steps.ts";
import { NAMESPACE_FLAGS } from "../namespace_steps.ts";
import { deathSignalSteps, execErrnoBytes } from "../process_steps.ts";
import { REPORT_FD } from "../setup.ts";
import { consoleControl, openTerminalSteps, sendTerminalSteps } from "../terminal_steps.ts";
import { oomScoreSteps } from "../oom_score_steps.ts";
import { meetSteps } from "./container.ts";
import { type BundleProcess, bundleProcessSteps } from "./process_steps.ts";

const SIGCHLD = 17;

/** Those that a process joins for its children, or that its rights come from. */
const OUTER: ReadonlySet<NamespaceType> = new Set(["user", "pid", "time"]);

/** Everything that decides the tape. */
export interface BundleExecSetup extends Omit<BundleProcess, "gate" | "hooks"> {
  /** The namespaces of the container that are not the caller's. */
  readonly namespaces: readonly NamespaceType[];
  /** Whether the waiter is put into the container's control group, for which it waits. */
  readonly entersGroup: boolean;
  /** Whether whoever starts it goes, and somebody else looks after it. */
  readonly detaches: boolean;
}

/** Plans a process that enters a container. */
export function planBundleExec(setup: BundleExecSetup): Tape {
  const { process, namespaces, fds } = setup;
  const joins = (types: readonly NamespaceType[], what: string): Step[] => {
    const flags = types.reduce((sum, type) => sum | NAMESPACE_FLAGS[type], 0);
    return flags === 0 ? [] : [
      step("setns", [TARGET_FD, flags], "join", what, {
        hints: {
          ESRCH: "the container has just ended",
          EPERM: "it belongs to a user namespace that is not yours",
        },
      }),
    ];
  };
  const { uid, gid } = process.user;
  const size = process.consoleSize ?? { height: 0, width: 0 };
  const steps: Step[] = [
    blockSignalsStep(),
    ...deathSignalSteps(setup, "the command"),
    ...oomScoreSteps(process.oomScoreAdj),
    step("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], "be closed to", "ptrace"),
    ...(setup.entersGroup ? meetSteps("its control group") : []),
    ...joins(namespaces.filter((type) => OUTER.has(type)), "the container's user and pid namespaces"),
    step("clone", [SIGCHLD, 0, 0, 0, 0], "fork", "the program's process", {
      id: "program",
      jump: { when: "zero", to: "in program" },
      hints: {
        EAGAIN: "the limit of processes is reached (ulimit -u)",
        ENOMEM: "the container's first process has just ended",
      },
    }),
    operate("store", [{ buffer: "pid" }, { result: "program" }, 4], "note the pid"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid"),
    ...(setup.detaches ? [] : [
      ...closeAllBut([REPORT_FD]).map((closing) => ({ ...closing, ignore: true })),
      step("wait4", [{ result: "program" }, { buffer: "status" }, 0, 0], "wait for", "the program", { retry: true }),
      step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end", { ignore: true }),
    ]),
    step("exit_group", [0], "end", "the waiter"),

    place("in program", "the program's process"),
    ...deathSignalSteps(setup, "the waiter"),
    step("setsid", [], "lead", "a new session"),
    ...joins(namespaces.filter((type) => !OUTER.has(type)), "the container's other namespaces"),
    step("umask", [process.user.umask ?? 0o022], "set", "umask"),
    ...(process.terminal
      ? [
        ...containerDevptsSteps(),
        ...openTerminalSteps({ rows: size.height, columns: size.width }, { uid, gid }),
        ...sendTerminalSteps(),
      ]
      : []),
    ...bundleProcessSteps({ ...setup, gate: undefined, hooks: [] }),
  ];
  return {
    steps,
    buffers: new Map<string, TapeBuffer>([
      ["pid", { sizeBytes: 8 }],
      ["status", { sizeBytes: 8 }],
      ["go", { sizeBytes: 8 }],
      ["cwd", { sizeBytes: 4096 }],
      ["exec errno", { sizeBytes: 8, bytes: execErrnoBytes() }],
      ["console control", { sizeBytes: 24, bytes: consoleControl() }],
      ...DEVPTS_BUFFERS,
    ]),
    errorFd: fds.error,
  };
}
