/**
 * Starting the player on an encoded tape: all that a tape needs which was encoded before, without what encodes.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close, makePipe, sealAll, tryMakeMemfd, writeAll } from "#linux/file.ts";
import { spawn } from "#linux/spawn.ts";
import { FAILURE, TAPE_FD } from "./layout.ts";
import { openPlayer } from "./player_file.ts";

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

/** A tape as the player takes it. */
export interface EncodedTape {
  readonly bytes: Uint8Array;
  /** As in {@linkcode Tape}. */
  readonly errorFd: number;
}

/** Starts a player on a tape. The caller waits for the process and closes `errors`. */
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

/** Waits for a process. @returns Its wait status as wait4(2) gives it. */
export function waitFor(pid: Pid): number {
  const status = allocate(8);
  let result: number;
  do result = tryCall("wait4", pid, addressOf(status), 0, 0); while (result === -4);
  expectResult(result, "wait4", `process ${pid}`);
  return new DataView(status.buffer).getInt32(0, true);
}
