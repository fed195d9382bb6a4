/**
 * Stream sockets of the host, as TCP needs them: the kernel's in the process, pipes in a simulation. All are non-blocking,
 * and every result is a number: 0 or more, or minus errno.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import type { Family, IpAddress } from "../ip_address.ts";

export interface StreamSockets {
  /** A socket that connects to where the policy has allowed it to. @returns The descriptor, or minus errno. */
  open(family: Family): number;
  /** Begins to connect; `-EINPROGRESS` is the usual answer, and HOST_WRITABLE or HOST_FAILED tells of its end. */
  connect(fd: Fd, address: IpAddress, port: number): number;
  /** Why it has failed: SO_ERROR as a positive errno, 0 when it has not. */
  failureOf(fd: Fd): number;
  /** A socket that listens. `family` 6 takes IPv6 alone. */
  listen(family: Family, address: IpAddress, port: number): number;
  /** The next connection of a listener, and where it comes from. */
  accept(listener: Fd, peer: PeerAddress): number;
  /** Reads to up to two places of the stack's memory, in order. 0 is the end of the stream. */
  receive(fd: Fd, first: number, firstLength: number, second: number, secondLength: number): number;
  /** Sends from up to two places. */
  send(fd: Fd, first: number, firstLength: number, second: number, secondLength: number): number;
  /** The peer is told that no more comes. */
  endSending(fd: Fd): void;
  /** Has the host's kernel ask whether the peer is alive, as the container's does with its end. */
  keepAlive(fd: Fd): void;
  /** Closes; what was sent is still delivered. */
  close(fd: Fd): void;
  /** Closes, and the peer gets RST (SO_LINGER of 0 seconds). */
  reset(fd: Fd): void;
}

/** The other end of a connection that was accepted. */
export interface PeerAddress {
  address: IpAddress;
  port: number;
}
