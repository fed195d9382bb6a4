import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "./call.ts";
import { EINTR } from "./errno_values.ts";
import { POLLFD } from "./poll.ts";

/**
 * ppoll(2) on one descriptor. Nothing else happens in this process meanwhile: for waits of milliseconds.
 * @returns Whether an event, or an error of the descriptor, came before the time was over.
 */
export function waitForDescriptor(fd: Fd, events: number, limitMs: number): boolean {
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, fd, true);
  view.setInt16(POLLFD.events, events, true);
  // struct timespec
  const time = allocate(16);
  const times = new DataView(time.buffer);
  for (const stopMs = performance.now() + limitMs;;) {
    const left = Math.max(0, stopMs - performance.now());
    times.setBigInt64(0, BigInt(Math.floor(left / 1000)), true);
    times.setBigInt64(8, BigInt(Math.floor(left % 1000 * 1e6)), true);
    const result = tryCall("ppoll", addressOf(entry), 1, addressOf(time), 0, 0);
    if (result === -EINTR) continue;
    return expectResult(result, "ppoll", `descriptor ${fd}`) > 0;
  }
}
