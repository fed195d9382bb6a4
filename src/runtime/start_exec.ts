/**
 * Starting a process in a container that runs, and the terminal that it may have.
 *
 * @module
 */
import { HOST_ARCH } from "#linux/arch.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close, O_CLOEXEC, O_NOCTTY, O_RDWR } from "#linux/file.ts";
import { TIOCGPTPEER } from "#linux/ioctl.ts";
import { PR_SET_DUMPABLE } from "#linux/prctl.ts";
import { makeSocketPair, receiveFd } from "#linux/socket.ts";
import { encodeTape } from "#tape/encode.ts";
import { failureError, startTape } from "#tape/play.ts";
import { compute, jumpTo, mark, step, type Tape } from "#tape/step.ts";
import { launchContainer, type Running, type StartFds } from "./launch_container.ts";
import { blockSignalsStep } from "./monitor_steps.ts";
import { EXEC } from "./process_steps.ts";
import { CONSOLE_FD } from "./setup.ts";
import { programError } from "./start.ts";
import { ERROR_FD } from "./map_ids.ts";

/** A process that entered a container. */
export interface Entered {
  /** Its first process is the program, its monitor what waits for that. */
  readonly running: Running;
  /** The terminal's master, where it has one. */
  readonly terminal: Fd | undefined;
  /** The other side of it, so that it lives as long as the program, though that closes it (C-136). */
  readonly slave: Fd | undefined;
}

/**
 * Starts it; returns when the program runs.
 * @throws {OsError} When a step failed.
 * @throws {DugoutError} With exit code 126 or 127 when the program could not be executed, or its directory not entered.
 */
export function startExec(tape: Tape, hasTerminal: boolean, fds: StartFds): Entered {
  const pair = hasTerminal ? makeSocketPair() : undefined;
  const console = pair === undefined ? [] : [{ child: CONSOLE_FD, ours: pair[1] }];
  let isOpen = true;
  const release = () => {
    fds.release();
    if (pair !== undefined && isOpen) close(pair[1]);
    isOpen = false;
  };
  try {
    const running = launchContainer({
      tape: { bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd },
      map: undefined,
      describeFailure(failure) {
        const error = failureError(tape, failure);
        const failed = tape.steps[failure.index];
        return failed?.id === EXEC || failed?.call === "chdir" ? programError(error) : error;
      },
    }, { ...fds, others: [...fds.others, ...console], release });
    const terminal = pair === undefined ? undefined : receiveFd(pair[0]);
    const slave = terminal === undefined ? -1 : tryCall("ioctl", terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return { running, terminal, slave: slave < 0 ? undefined : slave as Fd };
  } finally {
    if (pair !== undefined) close(pair[0]);
  }
}

const DRAIN_BYTES = 4096;

/**
 * Goes on reading a terminal that nobody looks at any more, so that the program in it is neither hung up nor kept
 * waiting: a player, which ends with the terminal.
 */
export function drainTerminal(master: Fd): void {
  const orEnd = { jump: { when: "error", to: "end" } } as const;
  const tape: Tape = {
    steps: [
      blockSignalsStep(),
      step("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], "be closed to", "ptrace"),
      step("close", [ERROR_FD], "close", "the error pipe"),
      mark("loop", "read what nobody sees"),
      step("read", [0, { buffer: "drain" }, DRAIN_BYTES], "read", "terminal", { id: "count", retry: true, ...orEnd }),
      compute("add", { result: "count" }, 0, "is it the end", { jump: { when: "zero", to: "end" } }),
      jumpTo("loop", "again"),
      mark("end", "the terminal is closed"),
      step("exit_group", [0], "end", ""),
    ],
    buffers: new Map([["drain", { sizeBytes: DRAIN_BYTES }]]),
    errorFd: ERROR_FD,
  };
  const { errors } = startTape(tape, {
    fds: [{ child: 0, ours: master }],
    name: "dugout-terminal",
    newSession: true,
  });
  close(errors);
}
