/**
 * Internet sockets: addresses and options of ip(7), ipv6(7), udp(7) and icmp(7). Both architectures have the same numbers
 * (linux/in.h, linux/in6.h, linux/errqueue.h).
 *
 * @module
 */
import { AF_INET, AF_INET6 } from "./socket.ts";

export const IPPROTO_IP = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_ICMPV6 = 58;

export const IP_TTL = 2;
export const IP_PKTINFO = 8;
export const IP_RECVERR = 11;
export const IPV6_UNICAST_HOPS = 16;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_PKTINFO = 50;

export const MSG_ERRQUEUE = 0x2000;

/** `struct sockaddr_in` and `sockaddr_in6`: the family in the machine's order, port and address big-endian. */
export const SOCKADDR_IN = { family: 0, port: 2, address: 4, SIZE: 16 } as const;
export const SOCKADDR_IN6 = { family: 0, port: 2, flow: 4, address: 8, scope: 24, SIZE: 28 } as const;

/** `struct in_pktinfo`: the index of an interface, the address of ours, and the datagram's destination. */
export const IN_PKTINFO = { index: 0, local: 4, destination: 8, SIZE: 12 } as const;
/** `struct in6_pktinfo`. */
export const IN6_PKTINFO = { address: 0, index: 16, SIZE: 20 } as const;

/** `struct sock_extended_err`, behind which the offender's address stands. */
export const SOCK_EXTENDED_ERR = { errno: 0, origin: 4, type: 5, code: 6, info: 8, data: 12, SIZE: 16 } as const;
export const SO_EE_ORIGIN_ICMP = 2;
export const SO_EE_ORIGIN_ICMP6 = 3;

/** Writes an IPv4 address, as a word of 32 bits. @returns Its size. */
export function putSockaddrIn(view: DataView, at: number, word: number, port: number): number {
  view.setUint16(at + SOCKADDR_IN.family, AF_INET, true);
  view.setUint16(at + SOCKADDR_IN.port, port);
  view.setInt32(at + SOCKADDR_IN.address, word);
  view.setUint32(at + 8, 0);
  view.setUint32(at + 12, 0);
  return SOCKADDR_IN.SIZE;
}

/** Writes an IPv6 address, as four words. @returns Its size. */
export function putSockaddrIn6(
  view: DataView,
  at: number,
  a: number,
  b: number,
  c: number,
  d: number,
  port: number,
): number {
  view.setUint16(at + SOCKADDR_IN6.family, AF_INET6, true);
  view.setUint16(at + SOCKADDR_IN6.port, port);
  view.setUint32(at + SOCKADDR_IN6.flow, 0);
  view.setInt32(at + SOCKADDR_IN6.address, a);
  view.setInt32(at + SOCKADDR_IN6.address + 4, b);
  view.setInt32(at + SOCKADDR_IN6.address + 8, c);
  view.setInt32(at + SOCKADDR_IN6.address + 12, d);
  view.setUint32(at + SOCKADDR_IN6.scope, 0);
  return SOCKADDR_IN6.SIZE;
}
