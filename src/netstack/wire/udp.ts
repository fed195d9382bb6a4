/**
 * UDP (RFC 768; over IPv6 RFC 8200 §8.1).
 *
 * @module
 */
import { foldSum, sumBytes } from "./checksum.ts";
import { type IpHeader, PROTOCOL_UDP, sumPseudoOf } from "./ip.ts";
import type { Fault } from "./fault.ts";

/** `struct udphdr`, all fields big-endian. */
export const UDP = { sourcePort: 0, destinationPort: 2, length: 4, checksum: 6, SIZE: 8 } as const;

/** A header that was read. */
export interface UdpHeader {
  sourcePort: number;
  destinationPort: number;
  /** Where the data begin and end. */
  payload: number;
  end: number;
}

export function makeUdpHeader(): UdpHeader {
  return { sourcePort: 0, destinationPort: 0, payload: 0, end: 0 };
}

/**
 * Reads the header of a whole packet.
 * @param isTrusted Whether the checksum need not be checked (`isChecksumTrusted` of `vnet.ts`).
 */
export function readUdp(view: DataView, ip: IpHeader, isTrusted: boolean, into: UdpHeader): Fault | undefined {
  const at = ip.transport;
  if (ip.end - at < UDP.SIZE) return "truncated";
  const length = view.getUint16(at + UDP.length);
  if (length < UDP.SIZE) return "malformed";
  if (at + length > ip.end) return "truncated";
  into.sourcePort = view.getUint16(at + UDP.sourcePort);
  into.destinationPort = view.getUint16(at + UDP.destinationPort);
  into.payload = at + UDP.SIZE;
  into.end = at + length;
  // nobody answers from port 0, and nobody listens there
  if (into.sourcePort === 0 || into.destinationPort === 0) return "malformed";
  const checksum = view.getUint16(at + UDP.checksum);
  // IPv4 allows none; IPv6 does not
  if (checksum === 0 && ip.family === 4) return undefined;
  if (isTrusted) return undefined;
  if (checksum === 0) return "checksum";
  // the length of the pseudo-header is UDP's own, which padding behind it does not change
  const trailing = ip.end - into.end;
  const sum = sumPseudoOf(ip, PROTOCOL_UDP) - trailing + sumBytes(view, at, into.end);
  return foldSum(sum) === 0xffff ? undefined : "checksum";
}

/**
 * Writes a header in front of data.
 * @param length Header and data.
 * @param pseudoSum Of that length (`sumPseudoHeader` of `ip.ts`).
 * @param isPartial Leaves the pseudo-header's sum in the checksum, for a device that finishes it (VNET_NEEDS_CSUM).
 */
export function writeUdp(
  view: DataView,
  at: number,
  sourcePort: number,
  destinationPort: number,
  length: number,
  pseudoSum: number,
  isPartial: boolean,
): void {
  view.setUint16(at + UDP.sourcePort, sourcePort);
  view.setUint16(at + UDP.destinationPort, destinationPort);
  view.setUint16(at + UDP.length, length);
  if (isPartial) {
    view.setUint16(at + UDP.checksum, foldSum(pseudoSum));
    return;
  }
  view.setUint16(at + UDP.checksum, 0);
  const checksum = ~foldSum(pseudoSum + sumBytes(view, at, at + length)) & 0xffff;
  // zero would say that there is none
  view.setUint16(at + UDP.checksum, checksum === 0 ? 0xffff : checksum);
}
