/**
 * A tap of the kernel, opened with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR: one read(2) or writev(2) a frame.
 *
 * @module
 */
import { backend } from "#ffi/mod.ts";
import { type Fd, numberOf } from "#linux/call.ts";
import type { Memory } from "../memory.ts";
import { type Device, FRAME_SPACE } from "./device.ts";

/** Three of `struct iovec`. */
export const TAP_SCRATCH_BYTES = 48;

/** @param scratch Offset of TAP_SCRATCH_BYTES, aligned to 8. */
export function makeTap(fd: Fd, memory: Memory, scratch: number): Device {
  const { syscall } = backend();
  const read = numberOf("read");
  const write = numberOf("write");
  const writev = numberOf("writev");
  const { address, view } = memory;
  return {
    receive: (offset) => syscall(read, fd, address + offset, FRAME_SPACE),
    transmit(headers, headersLength, payload, payloadLength, rest, restLength) {
      if (payloadLength === 0) return syscall(write, fd, address + headers, headersLength);
      putPiece(view, scratch, address + headers, headersLength);
      putPiece(view, scratch + 16, address + payload, payloadLength);
      if (restLength === 0) return syscall(writev, fd, address + scratch, 2);
      putPiece(view, scratch + 32, address + rest, restLength);
      return syscall(writev, fd, address + scratch, 3);
    },
  };
}

/** `struct iovec`, without a BigInt. */
export function putPiece(view: DataView, at: number, address: number, length: number): void {
  view.setUint32(at, address >>> 0, true);
  view.setUint32(at + 4, (address / 2 ** 32) | 0, true);
  view.setUint32(at + 8, length, true);
  view.setUint32(at + 12, 0, true);
}
