/**
 * Has the tape of a bundle's container played. Nothing is decided here.
 *
 * @module
 */
import { addressOf, allocate, openSource } from "#ffi/mod.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close, makePipe, tryMakeMemfd, writeAll } from "#linux/file.ts";
import { encodeTape } from "#tape/encode.ts";
import { failureError } from "#tape/play.ts";
import { type Failure, type Playing, readFailure, startEncodedTape, waitFor } from "#tape/play_encoded.ts";
import type { Tape } from "#tape/step.ts";
import { startEncodedInUserNamespace } from "../map_ids.ts";
import { CONSOLE_FD, REPORT_FD } from "../setup.ts";
import { type BundleUserNamespace, type FdPlan, GO_ON_FD, HOOK_STATE_FD, SET_UP_FD } from "./setup.ts";

/** Descriptors of ours that the container is made with. */
export interface BundleFds {
  readonly plan: FdPlan;
  /** Where the terminal's master is sent. */
  readonly console: Fd | undefined;
  readonly gate: Fd | undefined;
  /** Ours, in the order of `plan.preserved`. */
  readonly preserved: readonly Fd[];
}

/** A container that is set up, and waits. */
export interface SetUpBundle {
  /** Its first process, as this machine sees it. */
  readonly pid: Pid;
  /**
   * Lets it go on, until it waits at the gate or its program runs.
   * @param states What hooks in the container are told: while it is made, and when it is started.
   * @throws {OsError} Of the step that failed; nothing is left then.
   */
  goOn(states: { readonly creating: string; readonly created: string }): void;
  /** Lets go of it: it ends, unless it went on. */
  giveUp(): void;
  /** The wait status of a container in the foreground, when it has ended; undefined where the monitor was killed. */
  wait(): Promise<number | undefined>;
}

/** A step that failed. */
export interface FailedStep {
  readonly tape: Tape;
  readonly failure: Failure;
}

/** What whoever starts a container has to do with it. */
export interface BundleCare {
  /** Puts the first process into its control group, where the tape waits for that. */
  readonly enterGroup: ((pid: Pid) => void) | undefined;
  /** The error of a step that failed. */
  readonly describe: (failed: FailedStep) => Error;
}

/** Starts a container; returns when its namespaces and mounts are there. */
export function setUpBundle(
  tape: Tape,
  namespace: BundleUserNamespace,
  fds: BundleFds,
  { enterGroup, describe }: BundleCare,
): SetUpBundle {
  const report = makePipe();
  const setUp = makePipe();
  const go = makePipe();
  const states = [makeStateFile(), makeStateFile()] as const;
  const children = [
    ...[0, 1, 2].map((fd) => ({ child: fd, ours: fd as Fd })),
    { child: REPORT_FD, ours: report.write },
    { child: SET_UP_FD, ours: setUp.write },
    { child: GO_ON_FD, ours: go.read },
    { child: HOOK_STATE_FD, ours: states[0] },
    { child: fds.plan.startState, ours: states[1] },
    ...(fds.console === undefined ? [] : [{ child: CONSOLE_FD, ours: fds.console }]),
    ...(fds.gate === undefined ? [] : [{ child: fds.plan.gate, ours: fds.gate }]),
    ...fds.preserved.map((ours, index) => ({ child: fds.plan.parked + index, ours })),
  ];
  const encoded = { bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd };
  const options = { fds: children, name: "dugout-runtime", newSession: true };
  let playing: Playing;
  try {
    playing = namespace.kind === "new"
      ? startEncodedInUserNamespace(encoded, namespace.map, options)
      : startEncodedTape(encoded, options);
  } catch (error) {
    [report.read, setUp.read, go.write, ...states].forEach(close);
    throw error;
  } finally {
    [report.write, setUp.write, go.read].forEach(close);
  }
  const { pid: maker, errors } = playing;
  const fail = (): Error => {
    const failure = readFailure(errors);
    waitFor(maker);
    [errors, report.read, ...states].forEach(close);
    return failure === undefined
      ? new Error("The container's first process was killed while it was set up")
      : describe({ tape, failure });
  };
  const pid = readWord(report.read) as Pid | undefined;
  let isSetUp = readByte(setUp.read);
  if (pid !== undefined && isSetUp && enterGroup !== undefined) {
    try {
      enterGroup(pid);
    } catch (error) {
      [setUp.read, errors, go.write, report.read, ...states].forEach(close);
      waitFor(maker);
      throw error;
    }
    sendByte(go.write);
    isSetUp = readByte(setUp.read);
  }
  close(setUp.read);
  if (pid === undefined || !isSetUp) {
    close(go.write);
    throw fail();
  }
  return {
    pid,
    goOn({ creating, created }) {
      writeAll(states[0], new TextEncoder().encode(creating));
      writeAll(states[1], new TextEncoder().encode(created));
      sendByte(go.write);
      close(go.write);
      const failure = readFailure(errors);
      [errors, ...states].forEach(close);
      if (failure === undefined) return;
      waitFor(maker);
      close(report.read);
      throw describe({ tape, failure });
    },
    giveUp() {
      [errors, go.write, report.read, ...states].forEach(close);
      waitFor(maker);
    },
    async wait() {
      const source = openSource(report.read);
      const bytes = await source.read();
      await source.cancel();
      waitFor(maker);
      return bytes === undefined || bytes.length < 4
        ? undefined
        : new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(0, true);
    },
  };
}

/** The error of a step, without more. */
export function stepError({ tape, failure }: FailedStep): Error {
  return failureError(tape, failure);
}

function makeStateFile(): Fd {
  return expectResult(tryMakeMemfd("dugout-state", false), "memfd_create", "dugout-state") as Fd;
}

/** Four bytes, as a number; undefined at the end of the pipe. */
export function readWord(fd: Fd): number | undefined {
  const bytes = allocate(4);
  let result: number;
  do result = tryCall("read", fd, addressOf(bytes), 4); while (result === -4);
  return result === 4 ? new DataView(bytes.buffer).getInt32(0, true) : undefined;
}

/** Where nobody reads it, the process was killed, which its end tells. */
export function sendByte(fd: Fd): void {
  tryCall("write", fd, addressOf(allocate(1)), 1);
}

export function readByte(fd: Fd): boolean {
  const bytes = allocate(1);
  let result: number;
  do result = tryCall("read", fd, addressOf(bytes), 1); while (result === -4);
  return result === 1;
}
