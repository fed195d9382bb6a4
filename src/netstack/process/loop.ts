/**
 * The loop: waits, gives frames and events to the stack, ends the turn. No promise of JavaScript is ever waited for; it runs until it
 * is told to end.
 *
 * @module
 */
import { backend } from "#ffi/mod.ts";
import { CONTROL_WATCHER, TAP_WATCHER, WATCH_WATCHER } from "../host/poller.ts";
import { endTurn, nextTurnMs, takeEvent, takeFrames } from "../stack.ts";
import type { ControlServer } from "./control_server.ts";
import { type Netstack, removeLink, trimMemory } from "./netstack.ts";
import { onContainerEnd } from "./watched_containers.ts";

const HOUSEKEEPING_MS = 1000;
const EINTR = 4;
/** After so many new connections garbage is collected, in any case and where nothing else is to do. */
const COLLECT_AFTER = 30_000;
const COLLECT_IDLE_AFTER = 2_000;

/** Runs until the control server says that it is over. */
export function runLoop(netstack: Netstack, control: ControlServer, clock: () => number): void {
  const { poller, stack } = netstack;
  let collectedAt = 0;
  let keepHouseMs = clock() + HOUSEKEEPING_MS;
  for (;;) {
    const count = poller.wait(timeoutOf(nextTurnMs(stack), keepHouseMs, clock()));
    const nowMs = clock();
    if (count < 0 && count !== -EINTR) throw new Error(`epoll_pwait fails with errno ${-count}`);
    for (let i = 0; i < count; i++) {
      const watcher = poller.watcherOf(i);
      const key = poller.keyOf(i);
      if (watcher === TAP_WATCHER) readTap(netstack, key, nowMs);
      else if (watcher === CONTROL_WATCHER) control.onEvent(key, nowMs);
      else if (watcher === WATCH_WATCHER) onContainerEnd(netstack, key, nowMs);
      else takeEvent(stack, watcher, key, poller.eventsOf(i), nowMs);
    }
    endTurn(stack, nowMs);
    if (control.isOver) return;
    if (nowMs >= keepHouseMs) {
      keepHouseMs = nowMs + HOUSEKEEPING_MS;
      trimMemory(netstack);
      const isIdle = count <= 0;
      if (connectionsOf(netstack) - collectedAt > (isIdle ? COLLECT_IDLE_AFTER : COLLECT_AFTER)) {
        collectedAt = connectionsOf(netstack);
        backend().collectGarbage();
      }
      if (control.isForsaken(nowMs)) return;
    }
  }
}

/** All connections and datagrams from their beginning on: what leaves garbage. */
function connectionsOf({ tcp, dns }: Netstack): number {
  const { opened, accepted, refused } = tcp.state.counters;
  return opened + accepted + refused + dns.counters.queries;
}

/** In whole milliseconds, as epoll takes them, rounded up: what is due is due then. */
function timeoutOf(nextMs: number, keepHouseMs: number, nowMs: number): number {
  const waitMs = Math.min(nextMs, keepHouseMs) - nowMs;
  return waitMs <= 0 ? 0 : Math.ceil(waitMs);
}

function readTap(netstack: Netstack, index: number, nowMs: number): void {
  const link = netstack.stack.links[index];
  if (link === undefined) return;
  // its network namespace has gone, or the interface was removed
  if (takeFrames(netstack.stack, link, nowMs) < 0) removeLink(netstack, index);
}
