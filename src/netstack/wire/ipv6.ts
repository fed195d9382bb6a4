/**
 * IPv6 and its extension headers (RFC 8200). Jumbograms are none of ours; routing headers with segments left, and
 * more extension headers than anybody needs, are refused.
 *
 * @module
 */
import { type IpHeader, readAddress6, writeAddress } from "./ip.ts";
import { type IpAddress, isIpv4 } from "../ip_address.ts";
import type { Fault } from "./fault.ts";

export const IPV6 = {
  versionAndClass: 0,
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
  SIZE: 40,
} as const;

/** The fragment header (RFC 8200 §4.5). */
export const IPV6_FRAGMENT = { nextHeader: 0, offset: 2, id: 4, SIZE: 8 } as const;

const HOP_BY_HOP = 0;
const ROUTING = 43;
export const PROTOCOL_FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;
/** Followed at most: hop-by-hop, destination, routing, fragment, and destination again are all that RFC 8200 recommends. */
const MAX_EXTENSIONS = 8;
const MAX_EXTENSION_BYTES = 1024;

export const DEFAULT_HOP_LIMIT = 64;

/**
 * Reads the header from `at`, and the extension headers behind it; the frame ends at `frameEnd`.
 *
 * Of a fragment that is not the first, `transport` is where its piece begins. An atomic fragment, which is whole, is read
 * as a packet without the header (RFC 6946).
 */
export function readIpv6(view: DataView, at: number, frameEnd: number, into: IpHeader): Fault | undefined {
  if (frameEnd - at < IPV6.SIZE) return "truncated";
  if (view.getUint8(at) >>> 4 !== 6) return "unknown";
  const end = at + IPV6.SIZE + view.getUint16(at + IPV6.payloadLength);
  if (end > frameEnd) return "truncated";
  into.family = 6;
  into.network = at;
  into.end = end;
  into.hopLimit = view.getUint8(at + IPV6.hopLimit);
  into.trafficClass = (view.getUint16(at) >>> 4) & 0xff;
  readAddress6(view, at + IPV6.source, into.source);
  readAddress6(view, at + IPV6.destination, into.destination);
  // an IPv4 address in disguise is in no packet (RFC 4291 §2.5.5.2), and is one of IPv4 in our form
  if (isIpv4(into.source) || isIpv4(into.destination)) return "malformed";
  into.isFragment = false;
  into.moreFragments = false;
  into.fragmentOffset = 0;
  into.fragmentId = 0;
  into.dontFragment = true;
  return followExtensions(view, at, end, into);
}

function followExtensions(view: DataView, start: number, end: number, into: IpHeader): Fault | undefined {
  let protocolAt = start + IPV6.nextHeader;
  let position = start + IPV6.SIZE;
  let hasFragmentHeader = false;
  for (let count = 0;; count++) {
    const kind = view.getUint8(protocolAt);
    const known = kind === DESTINATION || kind === ROUTING || kind === AUTHENTICATION || kind === HOP_BY_HOP;
    if (!known && kind !== PROTOCOL_FRAGMENT) {
      into.protocol = kind;
      into.protocolAt = protocolAt;
      into.transport = position;
      return undefined;
    }
    if (count === MAX_EXTENSIONS || position - start > MAX_EXTENSION_BYTES) return "excessive";
    if (kind === HOP_BY_HOP && count !== 0) return "malformed";
    if (position + 8 > end) return "truncated";
    if (kind === PROTOCOL_FRAGMENT) {
      if (hasFragmentHeader) return "malformed";
      hasFragmentHeader = true;
      const offset = view.getUint16(position + IPV6_FRAGMENT.offset);
      into.moreFragments = (offset & 1) === 1;
      into.fragmentOffset = offset & 0xfff8;
      into.fragmentId = view.getUint32(position + IPV6_FRAGMENT.id);
      into.isFragment = into.moreFragments || into.fragmentOffset !== 0;
      protocolAt = position + IPV6_FRAGMENT.nextHeader;
      position += IPV6_FRAGMENT.SIZE;
      if (into.isFragment) {
        into.protocol = view.getUint8(protocolAt);
        into.protocolAt = protocolAt;
        into.transport = position;
        return undefined;
      }
      continue;
    }
    const length = view.getUint8(position + 1);
    const sizeBytes = kind === AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
    if (position + sizeBytes > end) return "truncated";
    if (kind === ROUTING && view.getUint8(position + 3) !== 0) return "unknown";
    protocolAt = position;
    position += sizeBytes;
  }
}

/** Writes a header; the flow label is zero. */
export function writeIpv6(
  view: DataView,
  at: number,
  payloadLength: number,
  nextHeader: number,
  source: IpAddress,
  destination: IpAddress,
  hopLimit: number = DEFAULT_HOP_LIMIT,
  trafficClass: number = 0,
): void {
  view.setUint16(at, 0x6000 | (trafficClass << 4));
  view.setUint16(at + 2, 0);
  view.setUint16(at + IPV6.payloadLength, payloadLength);
  view.setUint8(at + IPV6.nextHeader, nextHeader);
  view.setUint8(at + IPV6.hopLimit, hopLimit);
  writeAddress(view, at + IPV6.source, 6, source);
  writeAddress(view, at + IPV6.destination, 6, destination);
}

/** Writes a fragment header: a piece that begins at `offset` of the payload, a multiple of eight. */
export function writeIpv6Fragment(
  view: DataView,
  at: number,
  protocol: number,
  id: number,
  offset: number,
  moreFollow: boolean,
): void {
  view.setUint16(at + IPV6_FRAGMENT.nextHeader, protocol << 8);
  view.setUint16(at + IPV6_FRAGMENT.offset, offset | (moreFollow ? 1 : 0));
  view.setUint32(at + IPV6_FRAGMENT.id, id);
}
