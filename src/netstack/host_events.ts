/**
 * Waiting for host sockets, without saying by which call: epoll in the process, a queue in a simulation. Events are
 * edge-triggered: what was told once is told again only after the socket said EAGAIN.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";

/** The host's socket can be read, or its peer has closed, or accept has something. */
export const HOST_READABLE = 1;
/** It can be written, or connect has succeeded. */
export const HOST_WRITABLE = 2;
/** The peer has closed its sending side (EPOLLRDHUP): a short read is not the end of what there is. */
export const HOST_CLOSED = 4;
/** It has failed (EPOLLERR, EPOLLHUP): the reason is in SO_ERROR. */
export const HOST_FAILED = 8;

export interface HostEvents {
  /**
   * Tells `protocol` (its index in the stack) of events at `fd`, until that is closed.
   * @param key What comes back in {@linkcode Protocol.onHostEvent}: 32 bits of the protocol's choice. An event may come after
   * its socket was closed, in the turn in which that happened, so a key should tell one life of a slot from the next.
   */
  watch(fd: Fd, protocol: number, key: number): void;
}
