/**
 * TCP as a protocol of the stack: finds the connection of a frame or an event, and keeps the turn's lists.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { earliest, takeDue } from "../../deadlines.ts";
import type { Frame } from "../../frame.ts";
import { type IpAddress, isIpv4 } from "../../ip_address.ts";
import type { Protocol } from "../../protocol.ts";
import { readTcp, TCP_ACK, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { ESTABLISHED, FREE, SYN_RECEIVED, TIME_WAIT } from "./connection.ts";
import { onHostEvents, readFromHost } from "./host_side.ts";
import { onSegment } from "./input.ts";
import { abort, connectionOfKey, free } from "./lifetime.ts";
import { acceptClients, answerStranger, onNewSyn, onOpeningEvents } from "./open.ts";
import { isBefore } from "./sequence.ts";
import { findConnection, hashTuple } from "./table.ts";
import { type Listener, makeTcpState, type Tcp, type TcpParts } from "./tcp_state.ts";
import { finishLook, onDeadline } from "./timers.ts";

/** A key of a listener has the uppermost bit; one of a connection does not. */
const LISTENER_BIT = 0x80000000;

/** TCP of all links of a stack. */
export interface TcpProtocol extends Protocol {
  readonly state: Tcp;
  /**
   * Publishes a port.
   * @returns A number to take it back by, or minus errno (EADDRINUSE, EACCES …).
   */
  publish(
    link: number,
    hostAddress: IpAddress,
    hostPort: number,
    container: IpAddress,
    containerPort: number,
  ): number;
  /** Closes a listener; connections go on. */
  unpublish(listener: number): void;
  /** Resets all connections of a link, or those of one address there. */
  resetAll(link: number, inside?: IpAddress): void;
}

export function makeTcp(parts: TcpParts): TcpProtocol {
  const tcp = makeTcpState(parts);
  return {
    state: tcp,
    onFrame: (frame, nowMs) => onFrame(tcp, frame, nowMs),
    onHostEvent: (key, events, nowMs) => onHostEvent(tcp, key, events, nowMs),
    nextTimerMs: () => nextTimerMs(tcp),
    onTimer: (nowMs) => onTimer(tcp, nowMs),
    onTurnEnd: (nowMs) => onTurnEnd(tcp, nowMs),
    publish: (link, hostAddress, hostPort, container, containerPort) =>
      publish(tcp, link, hostAddress, hostPort, container, containerPort),
    unpublish: (listener) => unpublish(tcp, listener),
    resetAll(link, inside) {
      for (const connection of tcp.connections) {
        if (connection.state === FREE || connection.link !== link) continue;
        if (inside !== undefined && connection.inside.d !== inside.d) continue;
        abort(tcp, connection, true);
      }
    },
  };
}

function onFrame(tcp: Tcp, frame: Frame, nowMs: number): void {
  const { counters, segment } = tcp;
  counters.segmentsIn++;
  if (readTcp(tcp.around.memory.view, frame, frame.checksumIsGood, segment) !== undefined) {
    counters.malformed++;
    return;
  }
  const { source, destination, link } = frame;
  const { sourcePort, destinationPort, flags } = segment;
  const hash = hashTuple(tcp.hash, link, source, sourcePort, destination, destinationPort);
  let connection = findConnection(tcp, hash, link, source, sourcePort, destination, destinationPort);
  const isSyn = (flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN;
  if (
    connection !== undefined && connection.state === TIME_WAIT && isSyn && connection.fd === -1 &&
    isBefore(connection.receiveNext, segment.sequence | 0)
  ) {
    // a new connection with the numbers of one that has just ended (RFC 9293 §3.10.7.4, RFC 6191)
    free(tcp, connection);
    connection = undefined;
  }
  if (connection !== undefined) {
    onSegment(tcp, connection, segment, nowMs);
  } else if (isSyn) {
    onNewSyn(tcp, frame, segment, nowMs);
  } else {
    counters.unknown++;
    answerStranger(tcp, frame, segment);
  }
}

function onHostEvent(tcp: Tcp, key: number, events: number, nowMs: number): void {
  if ((key & LISTENER_BIT) !== 0) {
    const index = key & ~LISTENER_BIT;
    const listener = tcp.listeners[index];
    if (listener !== undefined) acceptSome(tcp, listener, index, nowMs);
    return;
  }
  const connection = connectionOfKey(tcp, key);
  if (connection === undefined || connection.fd === -1) return;
  if (connection.state < ESTABLISHED && connection.state !== SYN_RECEIVED) {
    onOpeningEvents(tcp, connection, events, nowMs);
  } else onHostEvents(tcp, connection, events, nowMs);
}

function acceptSome(tcp: Tcp, listener: Listener, index: number, nowMs: number): void {
  if (!acceptClients(tcp, listener, nowMs) || listener.isReady) return;
  listener.isReady = true;
  tcp.readyListeners.push(index);
}

function nextTimerMs(tcp: Tcp): number {
  if (tcp.ready.length > 0) return 0;
  if (tcp.readyListeners.length === 0) return earliest(tcp.deadlines);
  return tcp.acceptAgainMs === Infinity ? 0 : Math.min(tcp.acceptAgainMs, earliest(tcp.deadlines));
}

function onTimer(tcp: Tcp, nowMs: number): void {
  // each at most once: one that is due again at once waits for the next turn
  for (let left = tcp.deadlines.count; left > 0; left--) {
    const slot = takeDue(tcp.deadlines, nowMs);
    if (slot === -1) break;
    const connection = tcp.connections[slot]!;
    if (connection.state !== FREE) onDeadline(tcp, connection, nowMs);
  }
  if (tcp.ready.length > 0) {
    const turn = tcp.ready;
    tcp.ready = tcp.readyBefore;
    tcp.readyBefore = turn;
    for (let i = 0; i < turn.length; i++) {
      const connection = tcp.connections[turn[i]!]!;
      connection.isReady = false;
      if (connection.state !== FREE) readFromHost(tcp, connection, nowMs);
    }
    turn.length = 0;
  }
  if (tcp.readyListeners.length > 0 && (tcp.acceptAgainMs === Infinity || nowMs >= tcp.acceptAgainMs)) {
    tcp.acceptAgainMs = Infinity;
    for (const index of tcp.readyListeners.splice(0)) {
      const listener = tcp.listeners[index];
      if (listener === undefined) continue;
      listener.isReady = false;
      acceptSome(tcp, listener, index, nowMs);
    }
  }
}

function onTurnEnd(tcp: Tcp, nowMs: number): void {
  const { touched } = tcp;
  for (let i = 0; i < touched.length; i++) {
    const connection = tcp.connections[touched[i]!]!;
    connection.isTouched = false;
    finishLook(tcp, connection, nowMs);
  }
  touched.length = 0;
}

function publish(
  tcp: Tcp,
  link: number,
  hostAddress: IpAddress,
  hostPort: number,
  container: IpAddress,
  containerPort: number,
): number {
  const fd = tcp.sockets.listen(isIpv4(hostAddress) ? 4 : 6, hostAddress, hostPort);
  if (fd < 0) return fd;
  const index = tcp.freeListeners.pop() ?? tcp.listeners.length;
  tcp.listeners[index] = { fd: fd as Fd, link, container: { ...container }, containerPort, isReady: false };
  tcp.around.events.watch(fd as Fd, tcp.protocol, LISTENER_BIT | index);
  return index;
}

function unpublish(tcp: Tcp, index: number): void {
  const listener = tcp.listeners[index];
  if (listener === undefined) return;
  tcp.listeners[index] = undefined;
  tcp.freeListeners.push(index);
  tcp.sockets.close(listener.fd);
}
