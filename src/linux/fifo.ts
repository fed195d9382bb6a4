import { addressOf, cString } from "#ffi/mod.ts";
import { call, type Fd } from "./call.ts";
import { AT_FDCWD, O_NONBLOCK, O_RDWR, O_WRONLY, openAt, S_IFIFO } from "./file.ts";

/**
 * Makes a fifo of mode 0600 and opens it for both directions: whoever reads from the descriptor waits until somebody writes,
 * and never sees an end (fifo(7): on Linux it does not wait to be opened).
 */
export function makeFifo(path: string): Fd {
  const name = cString(path);
  call("mknodat", path, AT_FDCWD, addressOf(name), S_IFIFO | 0o600, 0);
  return openAt(AT_FDCWD, path, O_RDWR);
}

/** Opens a fifo that somebody reads from. @throws {OsError} ENXIO where nobody does. */
export function openFifoSink(path: string): Fd {
  return openAt(AT_FDCWD, path, O_WRONLY | O_NONBLOCK);
}
