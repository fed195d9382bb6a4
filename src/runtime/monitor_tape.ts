/**
 * The monitor of a container whose output is kept: a tape of its own, which the player is executed on when the container's
 * first process is there. So it holds less than 100 KB: the tape, one piece of output, a page or two of stack.
 *
 *     ppoll(stdout, stderr, first process) ─▶ read ─▶ frame ─▶ log        until the first process has ended
 *     ppoll, without waiting               ─▶ read ─▶ frame ─▶ log        until there is no more
 *     exit record ─▶ report ─▶ a worker that removes the container, or its own end
 *
 * Nothing here waits for another process of ours, nothing but a signal that cannot be blocked ends it before the container,
 * and no error does.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY, SEEK_END, SEEK_SET } from "#linux/file.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { PR_SET_NAME } from "#linux/prctl.ts";
import { CLD_EXITED, P_PIDFD, WEXITED } from "#linux/wait.ts";
import { SIGNALS } from "#linux/signals.ts";
import { packStruct } from "#tape/pack.ts";
import { type Arg, compute, jumpTo, mark, operate, type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { LOG_CHUNK_BYTES, LOG_STREAM, type LogLimits } from "./log_frame.ts";
import { appendSteps, FRAME_DATA, FRAME_STREAM, logBuffers, openLogSteps } from "./log_steps.ts";
import {
  CONTAINER_FD,
  COPIER_FD,
  FIRST_PROCESS_FD,
  INPUT_FD,
  LAST_WORK_FD,
  STDERR_FD,
  STDOUT_FD,
} from "./monitor_fds.ts";
import { endGroupBuffers, endGroupSteps, GROUP_FD, type GroupSetup } from "./group_steps.ts";
import { recordLength, unblockSignalsStep } from "./monitor_steps.ts";
import { EXIT_RECORD, REPORT_FD, STATE_FD } from "./setup.ts";
import { ERROR_FD } from "./map_ids.ts";

/** What a monitor has to do. */
export interface MonitorPlan {
  /** Whether the output comes from a terminal. */
  readonly terminal: boolean;
  /** Whether the caller's stdin is copied to the container by a process that ends with it. */
  readonly copiesStdin: boolean;
  readonly log: LogLimits;
  /** What goes before the end is told: a FUSE file system is unmounted. */
  readonly cleanUp: readonly Step[];
  /** Where the container is in a control group of its own. */
  readonly group: GroupSetup | undefined;
  /** The program that does what stands in {@linkcode LAST_WORK_FD}. */
  readonly worker: { readonly args: readonly string[]; readonly env: readonly string[] };
}

/** `siginfo_t` as waitid(2) fills it (asm-generic/siginfo.h). */
const SIGINFO = { code: 8, status: 24, SIZE: 128 } as const;
/** A `sigset_t` with the signal 13. */
const SIGPIPE_ALONE = Uint8Array.of(0, 0x10, 0, 0, 0, 0, 0, 0);
/** What is asked of ppoll, in this order. */
const POLLED = { stdout: 0, stderr: POLLFD.SIZE, process: 2 * POLLFD.SIZE } as const;

/** Plans a monitor's tape. */
export function planMonitor(plan: MonitorPlan): Tape {
  return {
    steps: [
      step("prctl", [PR_SET_NAME, "dugout-monitor", 0, 0, 0], "be called", "dugout-monitor", { ignore: true }),
      // root of the container's namespace may be another id than the caller, who reads what is made here
      step("umask", [0o022], "set", "umask"),
      ...openLogSteps(),
      ...followSteps(plan.log),
      ...endSteps(plan),
    ],
    buffers: monitorBuffers(plan),
    // nobody listens any more: nothing fails here
    errorFd: ERROR_FD,
  };
}

function monitorBuffers({ terminal, group }: MonitorPlan): Map<string, TapeBuffer> {
  const [stdout, stderr] = terminal ? [INPUT_FD, -1] : [STDOUT_FD, STDERR_FD];
  const polled = new Uint8Array(3 * POLLFD.SIZE);
  [stdout, stderr, FIRST_PROCESS_FD].forEach((fd, index) =>
    polled.set(packStruct("pollfd", { fd, events: POLLIN }), index * POLLFD.SIZE)
  );
  return new Map<string, TapeBuffer>([
    ["polled", { sizeBytes: polled.length, bytes: polled }],
    ["polled count", { sizeBytes: 8, bytes: Uint8Array.of(3) }],
    ["patience", { sizeBytes: 8 }],
    ["no time", { sizeBytes: 16 }],
    ["source", { sizeBytes: 8 }],
    ["siginfo", { sizeBytes: SIGINFO.SIZE }],
    ...(group === undefined ? [["status", { sizeBytes: 8 }] as const] : endGroupBuffers()),
    ...logBuffers(),
  ]);
}

function polledAt(offset: number): Arg & object {
  return { buffer: "polled", offset };
}

/** Reads what comes, until the first process has ended and no more is there. */
function followSteps(limits: LogLimits): Step[] {
  const readFrom = (name: "stdout" | "stderr", next: string): Step[] => [
    operate("load", [polledAt(POLLED[name] + POLLFD.revents), 0, 2], `is there anything on ${name}`, {
      id: `${name} events`,
      jump: { when: "zero", to: next },
    }),
    operate("store", [FRAME_STREAM, LOG_STREAM[name], 4], `it is ${name}`),
    operate("store", [{ buffer: "source" }, polledAt(POLLED[name]), 8], `read from ${name}`),
    jumpTo("piece", "read a piece"),
  ];
  return [
    mark("wait", "wait for output, or for the end"),
    operate("load", [{ buffer: "polled count" }, 0, 8], "how many descriptors", { id: "count" }),
    operate("load", [{ buffer: "patience" }, 0, 8], "how long", { id: "limit" }),
    step("ppoll", [{ buffer: "polled" }, { result: "count" }, { result: "limit" }, 0, 8], "wait for", "output", {
      id: "ready",
      retry: true,
      jump: { when: "error", to: "end" },
    }),
    compute("add", { result: "ready" }, 0, "is nothing left", { jump: { when: "zero", to: "end" } }),
    ...readFrom("stdout", "look at stderr"),
    mark("look at stderr", "then stderr"),
    ...readFrom("stderr", "look at the process"),
    mark("look at the process", "then the process"),
    operate("load", [polledAt(POLLED.process + POLLFD.revents), 0, 2], "has it ended", {
      id: "ended",
      jump: { when: "zero", to: "wait" },
    }),
    // what it wrote in its last moment is in the pipes: from now on, only what is there already
    operate("store", [{ buffer: "polled count" }, 2, 8], "look at the streams alone"),
    operate("store", [{ buffer: "patience" }, { buffer: "no time" }, 8], "and do not wait for them"),
    jumpTo("wait", "again"),

    mark("piece", "a piece of output"),
    operate("load", [{ buffer: "source" }, 0, 8], "whose turn it is", { id: "entry" }),
    operate("load", [{ result: "entry" }, 0, 4], "its descriptor", { id: "from" }),
    step("read", [{ result: "from" }, FRAME_DATA, LOG_CHUNK_BYTES], "read", "output", {
      id: "length",
      retry: true,
      jump: { when: "error", to: "stream ends" },
    }),
    compute("add", { result: "length" }, 0, "is it the end", { jump: { when: "zero", to: "stream ends" } }),
    ...appendSteps("length", limits),
    jumpTo("piece end", "done"),
    mark("stream ends", "no more comes of it"),
    // ppoll passes over negative ones
    operate("store", [{ result: "entry" }, 0xffffffff, 4], "ask for it no more"),
    mark("piece end", "look at the next one"),
    operate("load", [FRAME_STREAM, 0, 4], "whose turn it was", { id: "turn" }),
    compute("eq", { result: "turn" }, LOG_STREAM.stdout, "was it stdout", {
      jump: { when: "nonzero", to: "look at stderr" },
    }),
    jumpTo("look at the process", "it was stderr"),
  ];
}

/** Records how the container ended, and tells it. */
function endSteps({ copiesStdin, cleanUp, group, worker }: MonitorPlan): Step[] {
  return [
    mark("end", "the container has ended, and all it wrote is in the log"),
    ...(copiesStdin
      ? [step("pidfd_send_signal", [COPIER_FD, SIGNALS.KILL, 0, 0], "end", "the copier of stdin", { ignore: true })]
      : []),
    step("waitid", [P_PIDFD, FIRST_PROCESS_FD, { buffer: "siginfo" }, WEXITED, 0], "wait for", "the container", {
      retry: true,
      jump: { when: "error", to: "leave" },
    }),
    operate("load", [{ buffer: "siginfo", offset: SIGINFO.status }, 0, 4], "its code or signal", { id: "value" }),
    operate("load", [{ buffer: "siginfo", offset: SIGINFO.code }, 0, 4], "which of the two", { id: "how" }),
    compute("eq", { result: "how" }, CLD_EXITED, "did it exit", { jump: { when: "nonzero", to: "exited" } }),
    operate("store", [{ buffer: "status" }, { result: "value" }, 1], "note the signal"),
    jumpTo("status known", "done"),
    mark("exited", "it exited"),
    // a wait status has the code in its second byte
    operate("store", [{ buffer: "status", offset: 1 }, { result: "value" }, 1], "note the code"),
    mark("status known", "the wait status is known"),
    ...cleanUp,
    ...(group === undefined ? [] : [
      ...endGroupSteps(group),
      step("close", [GROUP_FD], "close", "the control group", { ignore: true }),
      operate("load", [{ buffer: "record length" }, 0, 8], "the record's length", { id: "record length" }),
    ]),
    ...recordSteps(STATE_FD, "recorded", "the runtime directory", group !== undefined),
    // it may have been swept away (C-058)
    ...recordSteps(CONTAINER_FD, "recorded", "the container's directory", group !== undefined),
    mark("recorded", "the end is recorded"),
    step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end", { ignore: true }),
    step("lseek", [LAST_WORK_FD, 0, SEEK_END], "is there work left in", "the plan", {
      id: "work",
      jump: { when: "error", to: "leave" },
    }),
    compute("add", { result: "work" }, 0, "its size", { jump: { when: "zero", to: "leave" } }),
    ...lastWorkSteps(worker),
    mark("leave", "nothing is left to do"),
    step("exit_group", [0], "end", "the monitor"),
  ];
}

/** Writes the exit record, and goes on at `done` where that was possible. */
function recordSteps(directory: number, done: string, where: string, hasGroup: boolean): Step[] {
  const failed = `no record in ${where}`;
  const id = `record in ${where}`;
  const orElse = { jump: { when: "error", to: failed } } as const;
  return [
    step(
      "openat",
      [directory, `${EXIT_RECORD}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644],
      "make the exit record in",
      where,
      { id, ...orElse },
    ),
    step("write", [{ result: id }, { buffer: "status" }, recordLength(hasGroup)], "write", "the exit record", {
      retry: true,
      ...orElse,
    }),
    step("close", [{ result: id }], "close", "the exit record", { ignore: true }),
    step("renameat2", [directory, `${EXIT_RECORD}.new`, directory, EXIT_RECORD, 0], "put in place", "exit record", {
      ...orElse,
    }),
    jumpTo(done, "recorded"),
    mark(failed, "it could not be recorded there"),
  ];
}

/**
 * Becomes the worker. The report stays open: whoever reads it sees its end when the work is done.
 */
function lastWorkSteps({ args, env }: MonitorPlan["worker"]): Step[] {
  const orElse = { jump: { when: "error", to: "leave" } } as const;
  const program = args[0] ?? "";
  return [
    step("lseek", [LAST_WORK_FD, 0, SEEK_SET], "go to the start of", "the plan", orElse),
    step("dup3", [LAST_WORK_FD, 0, 0], "use as stdin", "the plan", orElse),
    // 1 is the lowest number that is free
    step("openat", [AT_FDCWD, "/dev/null", O_RDWR, 0], "use as stdout", "/dev/null", { id: "null", ...orElse }),
    step("dup3", [{ result: "null" }, 2, 0], "use as stderr", "/dev/null", orElse),
    step("close_range", [3, REPORT_FD - 1, 0], "close", "descriptors below the report", { ignore: true }),
    step("close_range", [REPORT_FD + 1, 0xffffffff, 0], "close", "descriptors above it", { ignore: true }),
    // nobody may have read the report
    step("rt_sigtimedwait", [SIGPIPE_ALONE, 0, { buffer: "no time" }, 8], "forget", "SIGPIPE", { ignore: true }),
    unblockSignalsStep(),
    step("execve", [program, { strings: args }, { strings: env }], "execute", program, orElse),
  ];
}
