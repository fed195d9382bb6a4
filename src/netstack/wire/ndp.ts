/**
 * Neighbour discovery and router advertisements (RFC 4861; RDNSS RFC 8106), between an ICMPv6 header and its options.
 *
 * @module
 */
import { copyMac, MAC_BYTES } from "./ethernet.ts";
import { ICMP, ICMPV6_NEIGHBOUR_ADVERTISEMENT, ICMPV6_ROUTER_ADVERTISEMENT } from "./icmp.ts";
import { type IpHeader, writeAddress } from "./ip.ts";
import type { IpAddress } from "../ip_address.ts";
import type { Memory } from "../memory.ts";
import type { Fault } from "./fault.ts";

/** Solicitation and advertisement of a neighbour: the target's address, then options. */
export const NEIGHBOUR = { flags: 4, target: 8, options: 24 } as const;
const SOLICITATION_OPTIONS = 8;

const OPTION_SOURCE_MAC = 1;
const OPTION_TARGET_MAC = 2;
const OPTION_PREFIX = 3;
const OPTION_MTU = 5;
const OPTION_RDNSS = 25;

/** Bits of an advertisement: from a router, asked for, and to replace what is known. */
export const NA_ROUTER = 0x80;
export const NA_SOLICITED = 0x40;
export const NA_OVERRIDE = 0x20;

/** Where a neighbour's or a router's message has its options. */
function optionsAt(isRouterSolicitation: boolean): number {
  return isRouterSolicitation ? SOLICITATION_OPTIONS : NEIGHBOUR.options;
}

/**
 * Checks a message whose ICMPv6 header was read: neighbours do not forward (hop limit 255, RFC 4861 §7.1), options
 * have lengths.
 */
export function checkNdp(
  { bytes, view }: Memory,
  ip: IpHeader,
  isRouterSolicitation: boolean,
): Fault | undefined {
  if (ip.hopLimit !== 255 || view.getUint8(ip.transport + ICMP.code) !== 0) return "malformed";
  const first = ip.transport + optionsAt(isRouterSolicitation);
  if (first > ip.end) return "truncated";
  // what is solicited is no group
  if (!isRouterSolicitation && bytes[ip.transport + NEIGHBOUR.target] === 0xff) return "malformed";
  for (let at = first; at < ip.end;) {
    if (at + 8 > ip.end) return "truncated";
    const sizeBytes = bytes[at + 1]! * 8;
    if (sizeBytes === 0 || at + sizeBytes > ip.end) return "malformed";
    at += sizeBytes;
  }
  return undefined;
}

/** Copies the sender's link-layer address out of a checked message. @returns Whether there is one. */
export function copyNdpMac(
  { bytes }: Memory,
  ip: IpHeader,
  isRouterSolicitation: boolean,
  into: Uint8Array,
): boolean {
  for (let at = ip.transport + optionsAt(isRouterSolicitation); at < ip.end; at += bytes[at + 1]! * 8) {
    const kind = bytes[at];
    if ((kind === OPTION_SOURCE_MAC || kind === OPTION_TARGET_MAC) && bytes[at + 1] === 1) {
      copyMac(bytes, at + 2, into);
      return true;
    }
  }
  return false;
}

function writeMacOption(bytes: Uint8Array, at: number, kind: number, mac: Uint8Array): number {
  bytes[at] = kind;
  bytes[at + 1] = 1;
  for (let i = 0; i < MAC_BYTES; i++) bytes[at + 2 + i] = mac[i]!;
  return at + 8;
}

/**
 * Writes a neighbour's solicitation or advertisement, but for the checksum.
 * @param mac The sender's own.
 * @returns Offset behind it.
 */
export function writeNeighbour(
  { bytes, view }: Memory,
  at: number,
  type: number,
  flags: number,
  target: IpAddress,
  mac: Uint8Array,
): number {
  view.setUint32(at, type << 24);
  view.setUint32(at + NEIGHBOUR.flags, flags << 24);
  writeAddress(view, at + NEIGHBOUR.target, 6, target);
  const isAdvertisement = type === ICMPV6_NEIGHBOUR_ADVERTISEMENT;
  return writeMacOption(bytes, at + NEIGHBOUR.options, isAdvertisement ? OPTION_TARGET_MAC : OPTION_SOURCE_MAC, mac);
}

/** What a router tells (RFC 4861 §4.2). */
export interface RouterAdvertisement {
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** How long it is a default router, in seconds; 0: not at all. */
  readonly lifetimeSeconds: number;
  /** The prefix of 64 bits that addresses are made in. */
  readonly prefix: IpAddress;
  /** Name servers. */
  readonly dns: readonly IpAddress[];
}

const PREFIX_BITS = 64;
/** On link, and for addresses of one's own making. */
const PREFIX_FLAGS = 0xc0;

/** Writes an advertisement, but for the checksum. @returns Offset behind it. */
export function writeRouterAdvertisement(
  { bytes, view }: Memory,
  at: number,
  { mac, mtu, lifetimeSeconds, prefix, dns }: RouterAdvertisement,
): number {
  view.setUint32(at, ICMPV6_ROUTER_ADVERTISEMENT << 24);
  view.setUint8(at + 4, 64);
  view.setUint8(at + 5, 0);
  view.setUint16(at + 6, lifetimeSeconds);
  view.setUint32(at + 8, 0);
  view.setUint32(at + 12, 0);
  let position = writeMacOption(bytes, at + 16, OPTION_SOURCE_MAC, mac);
  view.setUint32(position, (OPTION_MTU << 24) | (1 << 16));
  view.setUint32(position + 4, mtu);
  position += 8;
  view.setUint32(position, (OPTION_PREFIX << 24) | (4 << 16) | (PREFIX_BITS << 8) | PREFIX_FLAGS);
  view.setUint32(position + 4, 86_400);
  view.setUint32(position + 8, 14_400);
  view.setUint32(position + 12, 0);
  writeAddress(view, position + 16, 6, prefix);
  position += 32;
  if (dns.length > 0) {
    view.setUint32(position, (OPTION_RDNSS << 24) | ((1 + 2 * dns.length) << 16));
    view.setUint32(position + 4, lifetimeSeconds);
    position += 8;
    for (const address of dns) {
      writeAddress(view, position, 6, address);
      position += 16;
    }
  }
  return position;
}
