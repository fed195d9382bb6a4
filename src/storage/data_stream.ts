/**
 * The stream of a worker's data, beside its plan and its answers: a pipe, or the caller's own stdin or stdout. A worker has
 * nothing else to do, so it waits in the call.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "#linux/call.ts";
import { EAGAIN, EINTR } from "#linux/errno_values.ts";
import { writeAll } from "#linux/file.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { PR_SET_PDEATHSIG } from "#linux/prctl.ts";
import { SIGNALS } from "#linux/signals.ts";

/** The descriptor of the stream. */
export const DATA_FD = 7 as Fd;
/** The root of a container, where a plan is about one. */
export const ROOT_FD = 50 as Fd;

const READ_BYTES = 262_144;

/** Ends this process with the command that started it: a copy does not go on when it is killed. */
export function endWithParent(): void {
  tryCall("prctl", PR_SET_PDEATHSIG, SIGNALS.KILL, 0, 0, 0);
}

/** Reads the stream to its end; each piece is valid until the next one. */
export function readData(take: (bytes: Uint8Array) => void): void {
  const buffer = allocate(READ_BYTES);
  for (;;) {
    const got = tryCall("read", DATA_FD, addressOf(buffer), buffer.length);
    if (got === -EINTR) continue;
    if (got === -EAGAIN) {
      waitUntilReadable();
      continue;
    }
    if (expectResult(got, "read", "stream of data") === 0) return;
    take(buffer.subarray(0, got));
  }
}

function waitUntilReadable(): void {
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, DATA_FD, true);
  view.setInt16(POLLFD.events, POLLIN, true);
  tryCall("ppoll", addressOf(entry), 1, 0, 0, 8);
}

/** Writes to the stream. @throws {OsError} EPIPE when nobody reads any more. */
export function writeData(bytes: Uint8Array): void {
  writeAll(DATA_FD, bytes);
}
