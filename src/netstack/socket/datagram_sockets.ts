/**
 * Datagram sockets of the host, as UDP, ICMP echo and the name server need them: the kernel's in the process, a made-up host's
 * in a simulation. All are non-blocking, and every result is a number: 0 or more, or minus errno.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { type Family, type IpAddress, makeAddress } from "../ip_address.ts";

/** UDP, or the unprivileged ICMP echo of icmp(7): SOCK_DGRAM with IPPROTO_ICMP, whose datagrams begin with the ICMP header. */
export type DatagramKind = "udp" | "ping";

/** Where a datagram came from, and to which of our addresses. Made once, filled for each. */
export interface DatagramOrigin {
  readonly address: IpAddress;
  port: number;
  /** Of a listener only: the address that was asked, which the answer must come from (IP_PKTINFO). */
  readonly local: IpAddress;
}

export function makeDatagramOrigin(): DatagramOrigin {
  return { address: makeAddress(), port: 0, local: makeAddress() };
}

/** An error that a router or the other end has sent (IP_RECVERR, ip(7)). Made once, filled for each. */
export interface DatagramError {
  /** Of ICMP or ICMPv6, when the message came from the network; −1 when it is the host's own refusal. */
  type: number;
  code: number;
  /** ICMP's next-hop MTU, when the type has one. */
  mtu: number;
  errno: number;
  /** Who said so. */
  readonly offender: IpAddress;
  /** How many bytes of the datagram that it is about were put where they were asked for. */
  length: number;
}

export function makeDatagramError(): DatagramError {
  return { type: -1, code: 0, mtu: 0, errno: 0, offender: makeAddress(), length: 0 };
}

export interface DatagramSockets {
  /** A socket whose errors are kept for {@linkcode DatagramSockets.takeError}. @returns The descriptor, or minus errno. */
  open(kind: DatagramKind, family: Family): number;
  /** From now on it sends to there, and takes answers from there alone. `port` is 0 for pings. */
  connect(fd: Fd, address: IpAddress, port: number): number;
  /** A UDP socket that is bound to a port of the host. `family` 6 takes IPv6 alone. */
  listen(family: Family, address: IpAddress, port: number): number;
  /** Receives one datagram; what does not fit is cut. `origin` is filled for a listener only. */
  receive(fd: Fd, offset: number, room: number, origin: DatagramOrigin | undefined): number;
  /** Sends on a connected socket. */
  send(fd: Fd, offset: number, length: number): number;
  /** Sends from a listener, as the address `local`, which was asked. */
  answer(fd: Fd, offset: number, length: number, local: IpAddress, address: IpAddress, port: number): number;
  /** The TTL or hop limit of what is sent from now on. */
  setHopLimit(fd: Fd, family: Family, hopLimit: number): number;
  /**
   * Takes the next error that was kept, and what it quotes: the payload of the datagram that was sent.
   * @returns False when there is none.
   */
  takeError(fd: Fd, offset: number, room: number, into: DatagramError): boolean;
  close(fd: Fd): void;
}
