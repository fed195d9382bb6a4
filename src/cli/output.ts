import { allocate } from "#ffi/mod.ts";
import type { Fd } from "#linux/call.ts";
import { OsError } from "#linux/errno.ts";
import { writeAll as writeWhole } from "#linux/file.ts";

/** Nobody reads any more: `dugout images | head -1`. Ends the command quietly, as SIGPIPE would. */
export class PipeClosedError extends Error {
  override readonly name = "PipeClosedError";
  /** 128 + SIGPIPE. */
  readonly exitCode = 141;
}

/**
 * Writes all of it to a descriptor before it returns, so that nothing is lost when the process exits, and without the start-up
 * cost of `process.stdout` (or of node:fs, which is a millisecond). A non-blocking pipe that is full is waited for.
 * @throws {PipeClosedError} When the reader has gone.
 */
export function writeAll(fd: number, data: string | Uint8Array): void {
  const source = typeof data === "string" ? new TextEncoder().encode(data) : data;
  if (source.length === 0) return;
  const bytes = allocate(source.length);
  bytes.set(source);
  try {
    writeWhole(fd as Fd, bytes);
  } catch (error) {
    throw error instanceof OsError && error.code === "EPIPE" ? new PipeClosedError() : error;
  }
}

/** Text for standard output, as it is: the caller has escaped what came from outside. */
export function printOut(text: string): void {
  writeAll(1, text);
}

/** Text for standard error. A closed one is no reason to fail. */
export function printError(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // there is nobody left to tell
  }
}
