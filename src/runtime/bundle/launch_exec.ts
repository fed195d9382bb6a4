/**
 * Has the tape of a process played that enters a bundle's container.
 *
 * @module
 */
import { openSource } from "#ffi/mod.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import type { Fd, Pid } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";
import { encodeTape } from "#tape/encode.ts";
import { readFailure, startEncodedTape, waitFor } from "#tape/play_encoded.ts";
import type { Tape } from "#tape/step.ts";
import { TARGET_FD } from "../exec_setup.ts";
import { CONSOLE_FD, REPORT_FD } from "../setup.ts";
import { type BundleCare, readByte, readWord, sendByte } from "./launch.ts";
import { type FdPlan, GO_ON_FD, SET_UP_FD } from "./setup.ts";

/** A program that runs in a container. */
export interface EnteredBundle {
  readonly pid: Pid;
  /** Its wait status, when it has ended; undefined where the waiter was killed. Not of one that was detached. */
  wait(): Promise<number | undefined>;
}

/**
 * Starts a program in a container; returns when it runs.
 * @param target A pidfd of the container's first process.
 */
export function enterBundle(
  tape: Tape,
  { target, console, preserved, plan }: {
    readonly target: Fd;
    readonly console: Fd | undefined;
    readonly preserved: readonly Fd[];
    readonly plan: FdPlan;
  },
  { enterGroup, describe }: BundleCare,
): EnteredBundle {
  const report = makePipe();
  const meet = makePipe();
  const go = makePipe();
  let playing;
  try {
    const encoded = { bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd };
    playing = startEncodedTape(encoded, {
      fds: [
        ...[0, 1, 2].map((fd) => ({ child: fd, ours: fd as Fd })),
        { child: TARGET_FD, ours: target },
        { child: REPORT_FD, ours: report.write },
        { child: SET_UP_FD, ours: meet.write },
        { child: GO_ON_FD, ours: go.read },
        ...(console === undefined ? [] : [{ child: CONSOLE_FD, ours: console }]),
        ...preserved.map((ours, index) => ({ child: plan.parked + index, ours })),
      ],
      name: "dugout-runtime",
      newSession: true,
    });
  } catch (error) {
    [report.read, meet.read, go.write].forEach(close);
    throw error;
  } finally {
    [report.write, meet.write, go.read].forEach(close);
  }
  const { pid: waiter, errors } = playing;
  try {
    if (enterGroup !== undefined && readByte(meet.read)) {
      enterGroup(waiter);
      sendByte(go.write);
    }
  } catch (error) {
    [report.read, errors].forEach(close);
    close(go.write);
    waitFor(waiter);
    throw error;
  } finally {
    close(meet.read);
  }
  close(go.write);
  const pid = readWord(report.read) as Pid | undefined;
  const failure = readFailure(errors);
  close(errors);
  if (failure !== undefined || pid === undefined) {
    waitFor(waiter);
    close(report.read);
    throw failure === undefined
      ? new Error("The process was killed before its program ran")
      : describe({ tape, failure });
  }
  return {
    pid,
    async wait() {
      const source = openSource(report.read);
      const bytes = await source.read();
      await source.cancel();
      waitFor(waiter);
      return bytes === undefined || bytes.length < 4
        ? undefined
        : new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(0, true);
    },
  };
}
