/**
 * Waiting by epoll. An event's 64 bits are the key that its watcher chose, and below it the number of the watcher: a protocol of the
 * stack, or one of the numbers here.
 *
 * @module
 */
import { backend } from "#ffi/mod.ts";
import { expectResult, type Fd, numberOf, tryCall } from "#linux/call.ts";
import {
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_EVENT,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from "#linux/epoll.ts";
import { HOST_CLOSED, HOST_FAILED, HOST_READABLE, HOST_WRITABLE, type HostEvents } from "../host_events.ts";
import type { Memory } from "../memory.ts";

const MAX_EVENTS = 256;
/** Room for events, and for one that is being registered. */
export const POLLER_SCRATCH_BYTES = (MAX_EVENTS + 1) * EPOLL_EVENT.SIZE;

/** Watchers that are no protocols: a link's tap (the key is its index), and the control socket's connections. */
export const TAP_WATCHER = 0xf0;
export const CONTROL_WATCHER = 0xf1;
/** The first processes of containers. */
export const WATCH_WATCHER = 0xf2;

export interface Poller extends HostEvents {
  /** Watches for input as long as there is some (level-triggered). @throws {OsError} */
  watchInput(fd: Fd, watcher: number, key: number): void;
  unwatch(fd: Fd): void;
  /**
   * Waits. @returns How many events came.
   * @param timeoutMs 0 does not wait, -1 waits for ever.
   */
  wait(timeoutMs: number): number;
  watcherOf(index: number): number;
  keyOf(index: number): number;
  /** HOST_READABLE … */
  eventsOf(index: number): number;
}

/** @param scratch Offset of POLLER_SCRATCH_BYTES. */
export function makePoller(memory: Memory, scratch: number): Poller {
  const { syscall } = backend();
  const { view, address } = memory;
  const epoll = expectResult(tryCall("epoll_create1", EPOLL_CLOEXEC), "epoll_create1", "") as Fd;
  const control = numberOf("epoll_ctl");
  const pwait = numberOf("epoll_pwait");
  const one = scratch + MAX_EVENTS * EPOLL_EVENT.SIZE;

  const add = (fd: Fd, events: number, watcher: number, key: number): number => {
    view.setInt32(one + EPOLL_EVENT.events, events, true);
    view.setInt32(one + EPOLL_EVENT.data, watcher, true);
    view.setInt32(one + EPOLL_EVENT.data + 4, key, true);
    return syscall(control, epoll, EPOLL_CTL_ADD, fd, address + one);
  };
  const place = (index: number) => scratch + index * EPOLL_EVENT.SIZE;
  return {
    watch(fd, protocol, key) {
      expectResult(add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, protocol, key), "epoll_ctl add", String(fd));
    },
    watchInput(fd, watcher, key) {
      expectResult(add(fd, EPOLLIN, watcher, key), "epoll_ctl add", String(fd));
    },
    unwatch(fd) {
      syscall(control, epoll, EPOLL_CTL_DEL, fd, address + one);
    },
    wait: (timeoutMs) => syscall(pwait, epoll, address + scratch, MAX_EVENTS, timeoutMs, 0, 8),
    watcherOf: (index) => view.getInt32(place(index) + EPOLL_EVENT.data, true),
    keyOf: (index) => view.getInt32(place(index) + EPOLL_EVENT.data + 4, true),
    eventsOf(index) {
      const events = view.getInt32(place(index) + EPOLL_EVENT.events, true);
      return ((events & EPOLLIN) !== 0 ? HOST_READABLE : 0) |
        ((events & EPOLLOUT) !== 0 ? HOST_WRITABLE : 0) |
        ((events & EPOLLRDHUP) !== 0 ? HOST_CLOSED : 0) |
        ((events & (EPOLLERR | EPOLLHUP)) !== 0 ? HOST_FAILED : 0);
    },
  };
}
