/**
 * What the two versions of IP have in common: one record for a header that was read, so that the protocols above need
 * not know which version carried them.
 *
 * @module
 */
import { type Family, type IpAddress, makeAddress, V4_MARK } from "../ip_address.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;

/** A header that was read. Made once, filled for each packet; all places are offsets in the packet's memory. */
export interface IpHeader {
  family: Family;
  /** Offset of the IP header. */
  network: number;
  /** Offset behind the IP header, its options and extension headers: the header of TCP, UDP or ICMP. */
  transport: number;
  /** Offset behind the packet's last byte: padding of the frame is not part of it. */
  end: number;
  /** PROTOCOL_TCP …: what stands at `transport`; of a fragment, what the whole packet will have there. */
  protocol: number;
  /** Offset of the byte that names the protocol. */
  protocolAt: number;
  /** Time to live, or hop limit. */
  hopLimit: number;
  /** Type of service, or traffic class: DSCP and ECN. */
  trafficClass: number;
  source: IpAddress;
  destination: IpAddress;
  /** Whether this is a piece of a packet, which must be put together before the protocol above may look at it. */
  isFragment: boolean;
  /** Its place in the whole payload, in bytes. */
  fragmentOffset: number;
  moreFragments: boolean;
  fragmentId: number;
  /** IPv4's Don't Fragment; always true of IPv6. */
  dontFragment: boolean;
}

/** A record to fill. */
export function makeIpHeader(): IpHeader {
  return {
    family: 4,
    network: 0,
    transport: 0,
    end: 0,
    protocol: 0,
    protocolAt: 0,
    hopLimit: 0,
    trafficClass: 0,
    source: makeAddress(),
    destination: makeAddress(),
    isFragment: false,
    fragmentOffset: 0,
    moreFragments: false,
    fragmentId: 0,
    dontFragment: false,
  };
}

/** Reads an IPv4 address. */
export function readAddress4(view: DataView, at: number, into: IpAddress): void {
  into.a = 0;
  into.b = 0;
  into.c = V4_MARK;
  into.d = view.getInt32(at);
}

/** Reads an IPv6 address. */
export function readAddress6(view: DataView, at: number, into: IpAddress): void {
  into.a = view.getInt32(at);
  into.b = view.getInt32(at + 4);
  into.c = view.getInt32(at + 8);
  into.d = view.getInt32(at + 12);
}

/** Writes an address of an IPv4 or IPv6 header. */
export function writeAddress(view: DataView, at: number, family: Family, address: IpAddress): void {
  if (family === 4) {
    view.setInt32(at, address.d);
    return;
  }
  view.setInt32(at, address.a);
  view.setInt32(at + 4, address.b);
  view.setInt32(at + 8, address.c);
  view.setInt32(at + 12, address.d);
}

function sumWord(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

function sumAddress(address: IpAddress): number {
  return sumWord(address.a) + sumWord(address.b) + sumWord(address.c) + sumWord(address.d);
}

/**
 * The sum of the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1), not folded. An IPv4 address's mark
 * adds 0xffff, which is zero in ones' complement: both families are summed alike.
 * @param length Of the transport's header and data.
 */
export function sumPseudoHeader(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  return sumAddress(source) + sumAddress(destination) + protocol + sumWord(length);
}

/** That sum for a packet that was read. */
export function sumPseudoOf(ip: IpHeader, protocol: number): number {
  return sumPseudoHeader(ip.source, ip.destination, protocol, ip.end - ip.transport);
}
