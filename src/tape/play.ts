/**
 * Starting the player on a tape. With `play_encoded.ts` the only part of this room that acts.
 *
 * @module
 */
import { errnoName, OsError } from "#linux/errno.ts";
import { close } from "#linux/file.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { encodeTape } from "./encode.ts";
import {
  type Failure,
  type Playing,
  type PlayOptions,
  readFailure,
  startEncodedTape,
  waitFor,
} from "./play_encoded.ts";
import type { Tape } from "./step.ts";

/** Starts a player on the tape. The caller waits for the process and closes `errors`. */
export function startTape(tape: Tape, options: PlayOptions): Playing {
  return startEncodedTape({ bytes: encodeTape(tape, HOST_ARCH), errorFd: tape.errorFd }, options);
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
