/**
 * `struct virtio_net_hdr` (linux/virtio_net.h; Virtual I/O Device 1.2 §5.1.6), which stands before every frame of a tap
 * device opened with IFF_VNET_HDR: whether the checksum is still to be filled in, and into pieces of which size the
 * frame is to be cut. In the machine's byte order, which is little-endian on all that we run on.
 *
 * @module
 */
import { foldSum, sumBytes } from "./checksum.ts";
import { ETHERNET } from "./ethernet.ts";
import type { Fault } from "./fault.ts";

export const VNET = {
  flags: 0,
  gsoType: 1,
  headerLength: 2,
  gsoSize: 4,
  csumStart: 6,
  csumOffset: 8,
  SIZE: 10,
} as const;

/** The checksum at csumStart + csumOffset holds the folded sum of the pseudo-header, and the rest is to be added. */
export const VNET_NEEDS_CSUM = 1;
/** The checksum was checked already. */
export const VNET_DATA_VALID = 2;

export const VNET_GSO_NONE = 0;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_UDP = 3;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_UDP_L4 = 5;
export const VNET_GSO_ECN = 0x80;

/** The header of a frame that is sent as it is. */
export function writePlainVnet(view: DataView, at: number): void {
  view.setUint32(at, 0);
  view.setUint32(at + 4, 0);
  view.setUint16(at + 8, 0);
}

/**
 * The header of a frame whose checksum the kernel is to finish, and which it may cut.
 * @param headerLength Bytes from the frame's beginning to its payload: what every piece repeats.
 * @param gsoSize Payload bytes a piece, or 0 with VNET_GSO_NONE.
 * @param csumStart Where the transport header begins, from the frame's beginning.
 * @param csumOffset Where its checksum lies, from there.
 */
export function writeOffloadVnet(
  view: DataView,
  at: number,
  gsoType: number,
  headerLength: number,
  gsoSize: number,
  csumStart: number,
  csumOffset: number,
): void {
  view.setUint8(at + VNET.flags, VNET_NEEDS_CSUM);
  view.setUint8(at + VNET.gsoType, gsoType);
  view.setUint16(at + VNET.headerLength, headerLength, true);
  view.setUint16(at + VNET.gsoSize, gsoSize, true);
  view.setUint16(at + VNET.csumStart, csumStart, true);
  view.setUint16(at + VNET.csumOffset, csumOffset, true);
}

/**
 * Checks the header of a frame that came in: a process inside can send any by PACKET_VNET_HDR.
 * @param at Offset of the virtio header; the frame follows it.
 * @param end Offset behind the frame's last byte.
 */
export function checkVnet(view: DataView, at: number, end: number): Fault | undefined {
  const frame = at + VNET.SIZE;
  if (end < frame + ETHERNET.SIZE) return "truncated";
  const frameLength = end - frame;
  const flags = view.getUint8(at + VNET.flags);
  if ((flags & VNET_NEEDS_CSUM) !== 0) {
    const start = view.getUint16(at + VNET.csumStart, true);
    const offset = view.getUint16(at + VNET.csumOffset, true);
    if (start < ETHERNET.SIZE || start + offset + 2 > frameLength) return "malformed";
  }
  const gsoType = view.getUint8(at + VNET.gsoType) & ~VNET_GSO_ECN;
  if (gsoType === VNET_GSO_NONE) return undefined;
  if (
    gsoType !== VNET_GSO_TCPV4 && gsoType !== VNET_GSO_TCPV6 && gsoType !== VNET_GSO_UDP_L4 && gsoType !== VNET_GSO_UDP
  ) return "unknown";
  if (view.getUint16(at + VNET.gsoSize, true) === 0) return "malformed";
  return view.getUint16(at + VNET.headerLength, true) > frameLength ? "malformed" : undefined;
}

/** Whether the transport's checksum needs no check: the kernel has checked it, or has not made it yet. */
export function isChecksumTrusted(view: DataView, at: number): boolean {
  return (view.getUint8(at + VNET.flags) & (VNET_NEEDS_CSUM | VNET_DATA_VALID)) !== 0;
}

/**
 * Finishes a checksum that the sender has left to the device: for frames that go to a file, and for what is sent on.
 * The header at `at` must have passed {@linkcode checkVnet}; it says afterwards that nothing is left to do.
 */
export function finishChecksum(view: DataView, at: number, end: number): void {
  if ((view.getUint8(at + VNET.flags) & VNET_NEEDS_CSUM) === 0) return;
  const start = at + VNET.SIZE + view.getUint16(at + VNET.csumStart, true);
  const field = start + view.getUint16(at + VNET.csumOffset, true);
  // the field holds the pseudo-header's sum, which is part of what is summed
  const checksum = ~foldSum(sumBytes(view, start, end)) & 0xffff;
  view.setUint16(field, checksum === 0 ? 0xffff : checksum);
  view.setUint8(at + VNET.flags, view.getUint8(at + VNET.flags) & ~VNET_NEEDS_CSUM);
}
