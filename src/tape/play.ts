/**
 * Starting the player on a tape. The only part of this room that acts.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { close, makePipe, sealAll, tryMakeMemfd, writeAll } from "#linux/file.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { spawn } from "#linux/spawn.ts";
import { encodeTape } from "./encode.ts";
import { FAILURE, TAPE_FD } from "./layout.ts";
import { openPlayer } from "./player_file.ts";
import type { Tape } from "./step.ts";

/** With which descriptors and as what a tape is played. */
export interface PlayOptions {
  /** Descriptors of the player besides the tape and the error pipe: its number, and which of ours. */
  readonly fds: readonly { child: number; ours: Fd }[];
  /** What `ps` shows. */
  readonly name?: string;
  /** A session of its own, without a controlling terminal. */
  readonly newSession?: boolean;
}

/** A tape that is being played. */
export interface Playing {
  readonly pid: Pid;
  /** Gives a failure, or its end when no process of the tape holds it any more: {@linkcode readFailure}. */
  readonly errors: Fd;
}

/** Starts a player on the tape. The caller waits for the process and closes `errors`. */
export function startTape(tape: Tape, options: PlayOptions): Playing {
  return startEncodedTape({ bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd }, options);
}

/** A tape as the player takes it. */
export interface EncodedTape {
  readonly bytes: Uint8Array;
  /** As in {@linkcode Tape}. */
  readonly errorFd: number;
}

/** The same for a tape that is encoded already. */
export function startEncodedTape({ bytes, errorFd }: EncodedTape, options: PlayOptions): Playing {
  const memfd = makeTapeFile(bytes);
  try {
    const pipe = makePipe();
    try {
      using player = openPlayer();
      const pid = spawn({
        path: `/proc/self/fd/${player.fd}`,
        argv: [options.name ?? "dugout-player"],
        env: [],
        fds: [
          { child: TAPE_FD, ours: memfd },
          { child: errorFd, ours: pipe.write },
          ...options.fds,
        ],
        ...(options.newSession === undefined ? {} : { newSession: options.newSession }),
      });
      return { pid, errors: pipe.read };
    } catch (error) {
      close(pipe.read);
      throw error;
    } finally {
      close(pipe.write);
    }
  } finally {
    close(memfd);
  }
}

/** An encoded tape as the sealed file that the player maps. The caller closes it. */
export function makeTapeFile(bytes: Uint8Array): Fd {
  const memfd = expectResult(tryMakeMemfd("dugout-tape", false), "memfd_create", "dugout-tape") as Fd;
  try {
    writeAll(memfd, bytes);
    // the player believes the size that it has checked once
    sealAll(memfd);
    return memfd;
  } catch (error) {
    close(memfd);
    throw error;
  }
}

/** A record of a tape that failed. */
export interface Failure {
  readonly index: number;
  readonly errno: number;
}

/** Waits until the tape's error pipe ends. @returns The failure, or undefined where all went well. */
export function readFailure(errors: Fd): Failure | undefined {
  const bytes = allocate(FAILURE.SIZE);
  let result: number;
  do result = tryCall("read", errors, addressOf(bytes), FAILURE.SIZE); while (result === -4);
  expectResult(result, "read", "error pipe");
  if (result < FAILURE.SIZE) return undefined;
  const view = new DataView(bytes.buffer);
  return { index: view.getUint32(FAILURE.index, true), errno: view.getUint32(FAILURE.errno, true) };
}

/** The failure of a step as an error that names it, with the step's own hint. */
export function failureError(tape: Tape, failure: Failure): OsError {
  const step = tape.steps[failure.index];
  const code = errnoName(failure.errno);
  const hint = step?.hints?.[code] ?? step?.hints?.["*"];
  return new OsError({
    call: step?.label ?? `step ${failure.index}`,
    object: step?.object ?? "",
    code,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Waits for a process. @returns Its wait status as wait4(2) gives it. */
export function waitFor(pid: Pid): number {
  const status = allocate(8);
  let result: number;
  do result = tryCall("wait4", pid, addressOf(status), 0, 0); while (result === -4);
  expectResult(result, "wait4", `process ${pid}`);
  return new DataView(status.buffer).getInt32(0, true);
}

/**
 * Plays a short tape to its end.
 * @throws {OsError} When a step failed, or when the player was killed.
 */
export function playTape(tape: Tape, options: PlayOptions = { fds: [] }): void {
  const playing = startTape(tape, options);
  let failure: Failure | undefined;
  try {
    failure = readFailure(playing.errors);
  } finally {
    close(playing.errors);
  }
  const status = waitFor(playing.pid);
  if (failure !== undefined) throw failureError(tape, failure);
  if (status !== 0) throw new Error(`Player ended with wait status ${status} and no failure record`);
}
