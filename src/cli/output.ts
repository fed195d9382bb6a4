import { writeSync } from "node:fs";

/** Nobody reads any more: `dugout images | head -1`. Ends the command quietly, as SIGPIPE would. */
export class PipeClosedError extends Error {
  override readonly name = "PipeClosedError";
  /** 128 + SIGPIPE. */
  readonly exitCode = 141;
}

/**
 * Writes all of it to a descriptor before it returns, so that nothing is lost when the process exits, and without the start-up
 * cost of `process.stdout`. A non-blocking pipe that is full (the terminal's descriptor may be shared with a program that set it
 * so) is tried again every few milliseconds; there is nothing else to wait for.
 * @throws {PipeClosedError} When the reader has gone.
 */
export function writeAll(fd: number, data: string | Uint8Array): void {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(fd, bytes, offset);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === "EPIPE") throw new PipeClosedError();
      else if (code !== "EINTR") throw error;
    }
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
