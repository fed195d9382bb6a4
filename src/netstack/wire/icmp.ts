/**
 * ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, and errors that quote the packet they are about.
 *
 * @module
 */
import { checksumOf, foldSum, sumBytes } from "./checksum.ts";
import { type Family, type IpAddress, makeAddress } from "../ip_address.ts";
import { type IpHeader, PROTOCOL_ICMPV6, readAddress4, readAddress6, sumPseudoOf } from "./ip.ts";
import { IPV4 } from "./ipv4.ts";
import { IPV6 } from "./ipv6.ts";
import type { Fault } from "./fault.ts";

/** The header; `id` and `sequence` are those of echo, `mtu` (32 bits) that of ICMPv6's, `mtu4` that of ICMP's errors. */
export const ICMP = { type: 0, code: 1, checksum: 2, id: 4, sequence: 6, mtu: 4, mtu4: 6, SIZE: 8 } as const;

export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;

export const ICMPV6_UNREACHABLE = 1;
export const ICMPV6_TOO_BIG = 2;
export const ICMPV6_TIME_EXCEEDED = 3;
export const ICMPV6_PARAMETER_PROBLEM = 4;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;
export const ICMPV6_ROUTER_SOLICITATION = 133;
export const ICMPV6_ROUTER_ADVERTISEMENT = 134;
export const ICMPV6_NEIGHBOUR_SOLICITATION = 135;
export const ICMPV6_NEIGHBOUR_ADVERTISEMENT = 136;

/** A header that was read. */
export interface IcmpHeader {
  type: number;
  code: number;
  /** Of echo; of others whatever stands there. */
  id: number;
  sequence: number;
  /** Where the message begins, what is behind its eight bytes, and where it ends. */
  start: number;
  payload: number;
  end: number;
}

export function makeIcmpHeader(): IcmpHeader {
  return { type: 0, code: 0, id: 0, sequence: 0, start: 0, payload: 0, end: 0 };
}

/** Reads the header of a whole packet, of either version. The checksum is always checked: offloads do not know ICMP. */
export function readIcmp(view: DataView, ip: IpHeader, into: IcmpHeader): Fault | undefined {
  const at = ip.transport;
  if (ip.end - at < ICMP.SIZE) return "truncated";
  const pseudo = ip.family === 6 ? sumPseudoOf(ip, PROTOCOL_ICMPV6) : 0;
  if (foldSum(pseudo + sumBytes(view, at, ip.end)) !== 0xffff) return "checksum";
  into.type = view.getUint8(at + ICMP.type);
  into.code = view.getUint8(at + ICMP.code);
  into.id = view.getUint16(at + ICMP.id);
  into.sequence = view.getUint16(at + ICMP.sequence);
  into.start = at;
  into.payload = at + ICMP.SIZE;
  into.end = ip.end;
  return undefined;
}

/** Writes type, code and the four bytes behind the checksum, which {@linkcode finishIcmp} fills in. */
export function writeIcmp(view: DataView, at: number, type: number, code: number, rest: number): void {
  view.setUint8(at + ICMP.type, type);
  view.setUint8(at + ICMP.code, code);
  view.setUint16(at + ICMP.checksum, 0);
  view.setUint32(at + ICMP.id, rest);
}

/** Fills in the checksum of a message from `at` to `end`. @param pseudoSum 0 for ICMP, the pseudo-header's for ICMPv6. */
export function finishIcmp(view: DataView, at: number, end: number, pseudoSum: number): void {
  view.setUint16(at + ICMP.checksum, 0);
  view.setUint16(at + ICMP.checksum, checksumOf(pseudoSum + sumBytes(view, at, end)));
}

/** What an error says, in words that both versions have. */
export type IcmpErrorKind =
  | "network-unreachable"
  | "host-unreachable"
  | "port-unreachable"
  | "protocol-unreachable"
  | "prohibited"
  | "too-big"
  | "time-exceeded"
  | "reassembly-time-exceeded";

type TypeAndCode = readonly [type: number, code: number];

// RFC 792, RFC 1812 §5.2.7.1 (13: communication administratively prohibited)
const ERRORS_V4: Readonly<Record<IcmpErrorKind, TypeAndCode>> = {
  "network-unreachable": [ICMP_UNREACHABLE, 0],
  "host-unreachable": [ICMP_UNREACHABLE, 1],
  "protocol-unreachable": [ICMP_UNREACHABLE, 2],
  "port-unreachable": [ICMP_UNREACHABLE, 3],
  "too-big": [ICMP_UNREACHABLE, 4],
  "prohibited": [ICMP_UNREACHABLE, 13],
  "time-exceeded": [ICMP_TIME_EXCEEDED, 0],
  "reassembly-time-exceeded": [ICMP_TIME_EXCEEDED, 1],
};

// RFC 4443 §3; an unknown next header is a parameter problem
const ERRORS_V6: Readonly<Record<IcmpErrorKind, TypeAndCode>> = {
  "network-unreachable": [ICMPV6_UNREACHABLE, 0],
  "prohibited": [ICMPV6_UNREACHABLE, 1],
  "host-unreachable": [ICMPV6_UNREACHABLE, 3],
  "port-unreachable": [ICMPV6_UNREACHABLE, 4],
  "too-big": [ICMPV6_TOO_BIG, 0],
  "time-exceeded": [ICMPV6_TIME_EXCEEDED, 0],
  "reassembly-time-exceeded": [ICMPV6_TIME_EXCEEDED, 1],
  "protocol-unreachable": [ICMPV6_PARAMETER_PROBLEM, 1],
};

/** The type and code of an error of that kind. */
export function icmpErrorOf(family: Family, kind: IcmpErrorKind): TypeAndCode {
  return (family === 4 ? ERRORS_V4 : ERRORS_V6)[kind];
}

/** The kind that a type and a code mean; undefined when the message is no error that anybody acts on. */
export function icmpErrorKind(family: Family, type: number, code: number): IcmpErrorKind | undefined {
  const table = family === 4 ? ERRORS_V4 : ERRORS_V6;
  for (const kind in table) {
    const [errorType, errorCode] = table[kind as IcmpErrorKind];
    if (type === errorType && code === errorCode) return kind as IcmpErrorKind;
  }
  if (family === 4 && type === ICMP_UNREACHABLE) {
    // RFC 1122 §3.2.2.1: 9 and 10 are prohibitions, the others say that a host or network is not reached
    return code === 9 || code === 10 ? "prohibited" : "host-unreachable";
  }
  return family === 6 && type === ICMPV6_UNREACHABLE ? "host-unreachable" : undefined;
}

/** How much of a packet an error quotes: the whole error stays within 576 (RFC 1812 §4.3.2.3) or 1,280 bytes (RFC 4443 §2.4). */
export function quotedLength(family: Family, packetLength: number): number {
  const room = family === 4 ? 576 - IPV4.SIZE - ICMP.SIZE : 1280 - IPV6.SIZE - ICMP.SIZE;
  return Math.min(packetLength, room);
}

/** What an error quotes, as far as one needs to find the flow that it is about. */
export interface QuotedPacket {
  family: Family;
  protocol: number;
  source: IpAddress;
  destination: IpAddress;
  /** Offset of the first 32 bits above IP: ports, or type and code of ICMP. */
  transport: number;
}

export function makeQuotedPacket(): QuotedPacket {
  return { family: 4, protocol: 0, source: makeAddress(), destination: makeAddress(), transport: 0 };
}

/** Reads the packet that an error quotes, cut off anywhere behind the first eight bytes of the protocol above (RFC 792). */
export function readQuoted(view: DataView, at: number, end: number, into: QuotedPacket): Fault | undefined {
  if (end - at < 1) return "truncated";
  const version = view.getUint8(at) >>> 4;
  if (version === 4) {
    const headerBytes = (view.getUint8(at) & 15) * 4;
    if (headerBytes < IPV4.SIZE) return "malformed";
    if (at + headerBytes + 8 > end) return "truncated";
    // a later fragment has no ports
    if ((view.getUint16(at + IPV4.fragment) & 0x1fff) !== 0) return "unknown";
    into.family = 4;
    into.protocol = view.getUint8(at + IPV4.protocol);
    readAddress4(view, at + IPV4.source, into.source);
    readAddress4(view, at + IPV4.destination, into.destination);
    into.transport = at + headerBytes;
    return undefined;
  }
  if (version !== 6) return "unknown";
  if (at + IPV6.SIZE + 8 > end) return "truncated";
  into.family = 6;
  into.protocol = view.getUint8(at + IPV6.nextHeader);
  readAddress6(view, at + IPV6.source, into.source);
  readAddress6(view, at + IPV6.destination, into.destination);
  into.transport = at + IPV6.SIZE;
  return undefined;
}
