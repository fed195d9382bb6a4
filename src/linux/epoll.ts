/**
 * epoll(7): constants and the layout of its events (linux/eventpoll.h), which is packed on x86_64 and nowhere else.
 *
 * @module
 */
import { HOST_ARCH } from "./arch.ts";

export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
/** Bit 31: as a signed number, as DataView's setInt32 takes it. */
export const EPOLLET = 1 << 31;

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLL_CLOEXEC = 0o2000000;

/** `struct epoll_event`: what happened, and 64 bits of the caller's own. */
export const EPOLL_EVENT = HOST_ARCH === "x86_64"
  ? { events: 0, data: 4, SIZE: 12 } as const
  : { events: 0, data: 8, SIZE: 16 } as const;
