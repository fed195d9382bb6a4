/**
 * IPv4 (RFC 791). Options are checked and passed over; a packet with a source route is none of ours (RFC 7126).
 *
 * @module
 */
import { checksumOf, foldSum, sumBytes } from "./checksum.ts";
import { type IpHeader, readAddress4, writeAddress } from "./ip.ts";
import type { IpAddress } from "../ip_address.ts";
import type { Fault } from "./fault.ts";

export const IPV4 = {
  versionAndLength: 0,
  trafficClass: 1,
  totalLength: 2,
  id: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  SIZE: 20,
} as const;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LOOSE_ROUTE = 131;
const OPTION_STRICT_ROUTE = 137;

/** What our own packets start with. */
export const DEFAULT_TTL = 64;

/**
 * Reads the header from `at`; the frame ends at `frameEnd`, and may be longer than the packet.
 * @returns undefined when `into` holds it.
 */
export function readIpv4(view: DataView, at: number, frameEnd: number, into: IpHeader): Fault | undefined {
  if (frameEnd - at < IPV4.SIZE) return "truncated";
  const first = view.getUint8(at);
  if (first >>> 4 !== 4) return "unknown";
  const headerBytes = (first & 15) * 4;
  if (headerBytes < IPV4.SIZE) return "malformed";
  const totalLength = view.getUint16(at + IPV4.totalLength);
  if (totalLength < headerBytes) return "malformed";
  if (at + totalLength > frameEnd) return "truncated";
  if (foldSum(sumBytes(view, at, at + headerBytes)) !== 0xffff) return "checksum";
  if (headerBytes > IPV4.SIZE) {
    const fault = checkOptions(view, at + IPV4.SIZE, at + headerBytes);
    if (fault !== undefined) return fault;
  }
  const fragment = view.getUint16(at + IPV4.fragment);
  into.family = 4;
  into.network = at;
  into.transport = at + headerBytes;
  into.end = at + totalLength;
  into.protocol = view.getUint8(at + IPV4.protocol);
  into.protocolAt = at + IPV4.protocol;
  into.hopLimit = view.getUint8(at + IPV4.ttl);
  into.trafficClass = view.getUint8(at + IPV4.trafficClass);
  readAddress4(view, at + IPV4.source, into.source);
  readAddress4(view, at + IPV4.destination, into.destination);
  into.moreFragments = (fragment & MORE_FRAGMENTS) !== 0;
  into.fragmentOffset = (fragment & OFFSET_MASK) * 8;
  into.isFragment = into.moreFragments || into.fragmentOffset !== 0;
  into.fragmentId = view.getUint16(at + IPV4.id);
  into.dontFragment = (fragment & DONT_FRAGMENT) !== 0;
  return undefined;
}

function checkOptions(view: DataView, from: number, end: number): Fault | undefined {
  for (let at = from; at < end;) {
    const kind = view.getUint8(at);
    if (kind === OPTION_END) return undefined;
    if (kind === OPTION_NOP) {
      at += 1;
      continue;
    }
    if (kind === OPTION_LOOSE_ROUTE || kind === OPTION_STRICT_ROUTE) return "unknown";
    if (at + 1 >= end) return "malformed";
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return "malformed";
    at += length;
  }
  return undefined;
}

/**
 * Writes a header without options. Don't Fragment is set, and so the id is zero (RFC 6864, A-057).
 * @param totalLength Header and payload.
 */
export function writeIpv4(
  view: DataView,
  at: number,
  totalLength: number,
  protocol: number,
  source: IpAddress,
  destination: IpAddress,
  ttl: number = DEFAULT_TTL,
  trafficClass: number = 0,
): void {
  view.setUint8(at, 0x45);
  view.setUint8(at + IPV4.trafficClass, trafficClass);
  view.setUint16(at + IPV4.totalLength, totalLength);
  view.setUint16(at + IPV4.id, 0);
  view.setUint16(at + IPV4.fragment, DONT_FRAGMENT);
  view.setUint8(at + IPV4.ttl, ttl);
  view.setUint8(at + IPV4.protocol, protocol);
  view.setUint16(at + IPV4.checksum, 0);
  writeAddress(view, at + IPV4.source, 4, source);
  writeAddress(view, at + IPV4.destination, 4, destination);
  view.setUint16(at + IPV4.checksum, checksumOf(sumBytes(view, at, at + IPV4.SIZE)));
}

/**
 * Makes the header at `at`, which has no options, that of a fragment: a piece that begins at `offset` of the payload, a
 * multiple of eight. An id of 0 at offset 0 with nothing behind it is a whole packet.
 */
export function writeIpv4Fragment(view: DataView, at: number, id: number, offset: number, moreFollow: boolean): void {
  view.setUint16(at + IPV4.id, id);
  view.setUint16(at + IPV4.fragment, (offset >> 3) | (moreFollow ? MORE_FRAGMENTS : 0));
  view.setUint16(at + IPV4.checksum, 0);
  view.setUint16(at + IPV4.checksum, checksumOf(sumBytes(view, at, at + IPV4.SIZE)));
}
