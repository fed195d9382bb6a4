/**
 * Segments from inside: RFC 9293 §3.10.7, with the checks of RFC 5961. Whatever comes, work is bounded, and what does not fit is
 * dropped: its sender sends it again.
 *
 * @module
 */
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, type TcpHeader } from "../../wire/tcp.ts";
import { onDuplicateAck, onNewAck, startCongestion, takeSacks } from "./congestion.ts";
import {
  CLOSE_WAIT,
  CLOSING,
  CONNECTING,
  type Connection,
  ESTABLISHED,
  FIN_WAIT_1,
  FIN_WAIT_2,
  FREE,
  LAST_ACK,
  rangesOf,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
} from "./connection.ts";
import { endHostWhenDone, flushToHost, readFromHost } from "./host_side.ts";
import { abort, closeHostWhenDone, enter, enterTimeWait, free, startWindow } from "./lifetime.ts";
import { output, timeoutOf, unsentBytes } from "./output.ts";
import { addRange, dropBefore } from "./ranges.ts";
import { consume, release, reserve, store } from "./ring.ts";
import { measure } from "./round_trip.ts";
import { distance, isAtMost, isBefore } from "./sequence.ts";
import { type Tcp, touch } from "./tcp_state.ts";
import { OUR_WINDOW_SCALE, sendAck, sendSegment, sendSyn } from "./transmit.ts";

const EAGAIN = 11;

/** The least that a peer's MSS counts as, and what is meant without the option (RFC 9293 §3.7.1). */
const MIN_MSS_V4 = 536;
const MIN_MSS_V6 = 1220;

/** How long a bare acknowledgement may wait for data to go with; RFC 9293 §3.8.6.3 allows half a second. */
export const DELAYED_ACK_MS = 1;
/** From so many bytes on it does not wait. */
const ACK_AT_ONCE_BYTES = 8192;
/** Challenge ACKs (RFC 5961 §7): at most one so often a connection. */
const CHALLENGE_MS = 100;
/** After so long without a word, inside is asked whether it is alive; three ways less than Linux's two hours, since it is near. */
export const IDLE_MS = 120_000;

/** Takes the options that only SYN has. */
export function takeSynOptions(tcp: Tcp, connection: Connection, header: TcpHeader, mtu: number): void {
  const least = connection.isIpv4 ? MIN_MSS_V4 : MIN_MSS_V6;
  const most = mtu - (connection.isIpv4 ? 40 : 60);
  connection.mss = Math.min(Math.max(header.mss === 0 ? least : header.mss, least), most);
  connection.canSack = header.sackPermitted;
  connection.receiveScale = header.windowScale >= 0 ? OUR_WINDOW_SCALE : 0;
  connection.sendScale = Math.max(header.windowScale, 0);
  connection.initialReceive = header.sequence | 0;
  connection.receiveNext = (header.sequence + 1) | 0;
  startWindow(tcp, connection);
}

/** A segment of a connection. Where it ends with it, the record is free again. */
export function onSegment(tcp: Tcp, connection: Connection, header: TcpHeader, nowMs: number): void {
  if (connection.state === CONNECTING) {
    // only its sender's second thoughts: SYNs sent again wait for the host like the first
    const isReset = (header.flags & TCP_RST) !== 0;
    const offset = distance(header.sequence | 0, connection.initialReceive);
    if (isReset && (offset === 0 || offset === 1)) abort(tcp, connection, false);
    return;
  }
  if (connection.state === SYN_SENT) return onAnswerToSyn(tcp, connection, header, nowMs);
  if (connection.state === TIME_WAIT && (header.flags & (TCP_RST | TCP_FIN)) === 0) {
    // nothing can be new; something old may want its answer again
    if (header.end > header.payload) acknowledgeNow(tcp, connection);
    return;
  }

  if (!isAcceptable(connection, header)) {
    if ((header.flags & TCP_RST) !== 0) return;
    onUnacceptable(tcp, connection, header, nowMs);
    return;
  }
  connection.lastHeardMs = nowMs;
  connection.probes = 0;
  if ((header.flags & TCP_RST) !== 0) {
    // RFC 5961 §3.2: in the window is not enough
    if ((header.sequence | 0) === connection.receiveNext) onReset(tcp, connection);
    else challenge(tcp, connection, nowMs);
    return;
  }
  if ((header.flags & TCP_SYN) !== 0) {
    challenge(tcp, connection, nowMs);
    return;
  }
  if ((header.flags & TCP_ACK) === 0) return;
  if (!onAck(tcp, connection, header, nowMs)) return;
  const stateNow: number = connection.state;
  if (
    header.end > header.payload &&
    (stateNow === ESTABLISHED || stateNow === FIN_WAIT_1 || stateNow === FIN_WAIT_2)
  ) {
    if (!onData(tcp, connection, header)) return;
  }
  if ((header.flags & TCP_FIN) !== 0) noteFin(connection, header);
  if (connection.isFinAhead && connection.finAheadAt === connection.receiveNext) onFin(tcp, connection, nowMs);
  touch(tcp, connection);
  output(tcp, connection, nowMs);
}

/** RFC 9293 §3.10.7.4, the four cases of a window. */
function isAcceptable(connection: Connection, header: TcpHeader): boolean {
  const sequence = header.sequence | 0;
  const length = header.end - header.payload + ((header.flags & TCP_FIN) !== 0 ? 1 : 0) +
    ((header.flags & TCP_SYN) !== 0 ? 1 : 0);
  const { receiveNext } = connection;
  const window = Math.max(distance(connection.receiveEdge, receiveNext), 0);
  const start = distance(sequence, receiveNext);
  if (length === 0) return window === 0 ? start === 0 : start >= 0 && start < window;
  if (window === 0) return false;
  const end = start + length - 1;
  return (start >= 0 && start < window) || (end >= 0 && end < window);
}

function onUnacceptable(tcp: Tcp, connection: Connection, header: TcpHeader, nowMs: number): void {
  const sequence = header.sequence | 0;
  if (connection.state === SYN_RECEIVED && (header.flags & TCP_SYN) !== 0 && sequence === connection.initialReceive) {
    sendSyn(tcp, connection, true);
    return;
  }
  // a question whether we are alive (RFC 9293 §3.8.4): then the host is asked in its turn
  const isProbe = distance(connection.receiveNext, sequence) === 1 && header.end - header.payload <= 1 &&
    (header.flags & (TCP_SYN | TCP_FIN)) === 0;
  if (isProbe && connection.fd !== -1) tcp.sockets.keepAlive(connection.fd);
  const window = distance(connection.receiveEdge, connection.receiveNext);
  const start = distance(sequence, connection.receiveNext);
  // its acknowledgement counts where it is of this window, or the one just gone: else two full directions would wait for each other
  if ((header.flags & TCP_ACK) !== 0 && start >= -(1 << 20) && start <= Math.max(window, 0)) {
    connection.lastHeardMs = nowMs;
    connection.probes = 0;
    if (!onAck(tcp, connection, header, nowMs)) return;
    output(tcp, connection, nowMs);
  }
  acknowledgeNow(tcp, connection);
}

function acknowledgeNow(tcp: Tcp, connection: Connection): void {
  connection.isAckDue = true;
  touch(tcp, connection);
}

function challenge(tcp: Tcp, connection: Connection, nowMs: number): void {
  if (nowMs < connection.challengeAtMs) return;
  connection.challengeAtMs = nowMs + CHALLENGE_MS;
  sendAck(tcp, connection);
}

function onReset(tcp: Tcp, connection: Connection): void {
  // RFC 1337: it ends no TIME_WAIT, where the host may still be reading what inside has sent
  if (connection.state !== TIME_WAIT) abort(tcp, connection, false);
}

/** SYN_SENT: a published port's connection inside (RFC 9293 §3.10.7.3). */
function onAnswerToSyn(tcp: Tcp, connection: Connection, header: TcpHeader, nowMs: number): void {
  const { flags } = header;
  const ack = header.acknowledgement | 0;
  if ((flags & TCP_ACK) !== 0 && ack !== connection.next) {
    if ((flags & TCP_RST) === 0) {
      // somebody's old connection with the same numbers: RST ends it there, and SYN is sent again in a moment
      sendSegment(tcp, { ...connection, receiveNext: 0 }, ack, TCP_RST, 0, 0);
      connection.retransmitAtMs = Math.min(connection.retransmitAtMs, nowMs + 10);
      touch(tcp, connection);
    }
    return;
  }
  if ((flags & TCP_RST) !== 0) {
    if ((flags & TCP_ACK) === 0) return;
    tcp.counters.refused++;
    abort(tcp, connection, false);
    return;
  }
  if ((flags & (TCP_SYN | TCP_ACK)) !== (TCP_SYN | TCP_ACK)) return;
  const link = tcp.around.links[connection.link];
  if (link === undefined) return;
  takeSynOptions(tcp, connection, header, link.mtu);
  connection.unacknowledged = ack;
  if (connection.backoff === 0) measure(connection.roundTrip, nowMs - connection.timedSinceMs);
  establish(tcp, connection, header, nowMs);
  connection.isAckDue = true;
  touch(tcp, connection);
  readFromHost(tcp, connection, nowMs);
}

/** Both SYNs are acknowledged. */
function establish(tcp: Tcp, connection: Connection, header: TcpHeader, nowMs: number): void {
  enter(tcp, connection, ESTABLISHED);
  connection.retransmitAtMs = Infinity;
  connection.backoff = 0;
  connection.idleAtMs = nowMs + IDLE_MS;
  startCongestion(connection);
  // the window of SYN itself is not scaled (RFC 7323 §2.2)
  const scale = (header.flags & TCP_SYN) !== 0 ? 0 : connection.sendScale;
  connection.sendWindow = header.window << scale;
  connection.maxSendWindow = connection.sendWindow;
  connection.windowSequence = header.sequence | 0;
  connection.windowAck = header.acknowledgement | 0;
}

/** @returns False when the connection ended, or the segment is to be dropped. */
function onAck(tcp: Tcp, connection: Connection, header: TcpHeader, nowMs: number): boolean {
  const ack = header.acknowledgement | 0;
  const { next } = connection;
  if (connection.state === SYN_RECEIVED) {
    if (ack !== next) {
      sendSegment(tcp, connection, ack, TCP_RST, 0, 0);
      return false;
    }
    connection.unacknowledged = ack;
    if (connection.backoff === 0) measure(connection.roundTrip, nowMs - connection.timedSinceMs);
    establish(tcp, connection, header, nowMs);
    readFromHost(tcp, connection, nowMs);
    return (connection.state as number) !== FREE;
  }
  const news = distance(ack, connection.unacknowledged);
  if (isBefore(next, ack)) {
    // RFC 9293: of something that was never sent
    challenge(tcp, connection, nowMs);
    return false;
  }
  if (news < 0) {
    // RFC 5961 §5.2: neither may it be older than any window of ours
    if (news < -(16 << 20)) {
      challenge(tcp, connection, nowMs);
      return false;
    }
    return true;
  }
  const hadFlight = next !== connection.unacknowledged;
  const hasSackNews = header.sackCount > 0 && takeSacks(connection, header.sacks, header.sackCount);
  const before = connection.sendWindow;
  updateWindow(connection, header);
  if (news > 0) return onAckOfNew(tcp, connection, ack, news, nowMs);
  const isPure = header.end === header.payload && (header.flags & TCP_FIN) === 0;
  if (hadFlight && (hasSackNews || (isPure && before === connection.sendWindow && !connection.canSack))) {
    onDuplicateAck(connection, unsentBytes(connection) > 0);
  } else if (!hadFlight && before < connection.sendWindow && connection.retransmitAtMs !== Infinity) {
    // a window has opened for which we were asking
    connection.retransmitAtMs = Infinity;
    connection.backoff = 0;
  }
  return true;
}

/** RFC 9293 §3.10.7.4: only a segment that is not older than the last one changes the window. */
function updateWindow(connection: Connection, header: TcpHeader): void {
  const sequence = header.sequence | 0;
  const ack = header.acknowledgement | 0;
  const { windowSequence, windowAck } = connection;
  if (!isBefore(windowSequence, sequence) && !(windowSequence === sequence && isAtMost(windowAck, ack))) return;
  connection.sendWindow = header.window << connection.sendScale;
  if (connection.sendWindow > connection.maxSendWindow) connection.maxSendWindow = connection.sendWindow;
  connection.windowSequence = sequence;
  connection.windowAck = ack;
}

/** @returns False when the connection ended by it. */
function onAckOfNew(tcp: Tcp, connection: Connection, ack: number, news: number, nowMs: number): boolean {
  const { toInside } = connection;
  const isFinAcked = connection.isFinSent && ack === connection.next;
  const bytes = isFinAcked ? news - 1 : news;
  if (bytes > 0) consume(toInside, bytes);
  connection.unacknowledged = ack;
  connection.backoff = 0;
  if (connection.isTimed && isAtMost(connection.timedUpTo, ack)) {
    connection.isTimed = false;
    measure(connection.roundTrip, nowMs - connection.timedSinceMs);
  }
  onNewAck(connection, ack, bytes);
  // RFC 6298 §5.2 and 5.3
  connection.retransmitAtMs = ack === connection.next ? Infinity : nowMs + timeoutOf(connection);
  if (toInside.used === 0) release(toInside, tcp.blocks);
  if (isFinAcked) return onFinAcked(tcp, connection, nowMs);
  readFromHost(tcp, connection, nowMs);
  return (connection.state as number) !== FREE;
}

/** @returns False when the connection ended by it. */
function onFinAcked(tcp: Tcp, connection: Connection, nowMs: number): boolean {
  switch (connection.state) {
    case FIN_WAIT_1:
      enter(tcp, connection, FIN_WAIT_2);
      return true;
    case CLOSING:
      enterTimeWait(tcp, connection, nowMs);
      return true;
    case LAST_ACK:
      if (connection.fd === -1) {
        free(tcp, connection);
        return false;
      }
      // the host has not taken everything yet
      enterTimeWait(tcp, connection, nowMs);
      return true;
    default:
      return true;
  }
}

/**
 * Data: in order it goes to the host at once, ahead of a hole it waits in the ring. What does not fit is dropped.
 * @returns False when the connection ended by it.
 */
function onData(tcp: Tcp, connection: Connection, header: TcpHeader): boolean {
  let { payload } = header;
  let sequence = header.sequence | 0;
  const skip = distance(connection.receiveNext, sequence);
  if (skip > 0) {
    // seen before, at least in part: the peer should know at once
    payload += skip;
    sequence = connection.receiveNext;
    connection.isAckDue = true;
    if (payload >= header.end) return true;
  }
  const length = Math.min(header.end - payload, distance(connection.receiveEdge, sequence));
  if (length <= 0) return true;
  if (sequence !== connection.receiveNext) {
    keepAhead(tcp, connection, sequence, payload, length);
    return true;
  }
  const { toHost, ahead } = connection;
  let done = 0;
  if (toHost.used === 0 && connection.isHostWritable) {
    const sent = tcp.sockets.send(connection.fd, payload, length, 0, 0);
    if (sent < 0 && sent !== -EAGAIN) {
      abort(tcp, connection, true);
      return false;
    }
    done = Math.max(sent, 0);
    tcp.counters.bytesOut += done;
    if (done < length) connection.isHostWritable = false;
    // what waits ahead of a hole keeps its place
    if (ahead !== undefined && ahead.count > 0) toHost.head = (toHost.head + done) & (toHost.capacity - 1);
    connection.receiveNext = (connection.receiveNext + done) | 0;
  }
  const rest = length - done;
  if (rest > 0) {
    const reach = heldBytes(connection);
    if (!reserve(toHost, tcp.around.memory, tcp.blocks, toHost.used + rest, reach)) {
      tcp.counters.noMemory++;
      connection.isAckDue = true;
      return true;
    }
    store(toHost, tcp.around.memory, toHost.used, payload + done, rest);
    toHost.used += rest;
    connection.receiveNext = (connection.receiveNext + rest) | 0;
  }
  connection.unackedBytes += length;
  if (ahead !== undefined && ahead.count > 0) return joinAhead(tcp, connection);
  return true;
}

/** How many bytes of `toHost` from its head on must be kept: those that wait ahead of a hole too. */
function heldBytes({ toHost, ahead, receiveNext }: Connection): number {
  if (ahead === undefined || ahead.count === 0) return toHost.used;
  return toHost.used + distance(ahead.right[ahead.count - 1]!, receiveNext);
}

function keepAhead(tcp: Tcp, connection: Connection, sequence: number, payload: number, length: number): void {
  const { toHost } = connection;
  tcp.counters.outOfOrder++;
  connection.isAckDue = true;
  const place = toHost.used + distance(sequence, connection.receiveNext);
  if (!reserve(toHost, tcp.around.memory, tcp.blocks, place + length, heldBytes(connection))) {
    tcp.counters.noMemory++;
    return;
  }
  const index = addRange(rangesOf(connection, "ahead"), sequence, (sequence + length) | 0);
  if (index === -1) return;
  connection.lastAhead = index;
  store(toHost, tcp.around.memory, place, payload, length);
}

/** The hole is filled: what waited behind it is in order now. @returns False when the connection ended by it. */
function joinAhead(tcp: Tcp, connection: Connection): boolean {
  const { toHost } = connection;
  const ahead = rangesOf(connection, "ahead");
  connection.isAckDue = true;
  connection.lastAhead = -1;
  if (isAtMost(ahead.left[0]!, connection.receiveNext)) {
    const end = ahead.right[0]!;
    if (isBefore(connection.receiveNext, end)) {
      const more = distance(end, connection.receiveNext);
      toHost.used += more;
      connection.receiveNext = end;
    }
    dropBefore(ahead, connection.receiveNext);
  }
  return toHost.used === 0 || !connection.isHostWritable || flushToHost(tcp, connection);
}

/** Remembers where FIN stands; it counts once everything before it is there. */
function noteFin(connection: Connection, header: TcpHeader): void {
  if (connection.hasInsideEnded) return;
  connection.isFinAhead = true;
  connection.finAheadAt = (header.sequence + (header.end - header.payload)) | 0;
}

/** FIN in order: inside sends no more. */
function onFin(tcp: Tcp, connection: Connection, nowMs: number): void {
  connection.isFinAhead = false;
  connection.receiveNext = (connection.receiveNext + 1) | 0;
  connection.receiveEdge = connection.receiveNext;
  connection.hasInsideEnded = true;
  connection.isAckDue = true;
  switch (connection.state) {
    case ESTABLISHED:
      enter(tcp, connection, CLOSE_WAIT);
      break;
    case FIN_WAIT_1:
      enter(tcp, connection, CLOSING);
      break;
    case FIN_WAIT_2:
      enterTimeWait(tcp, connection, nowMs);
      break;
  }
  endHostWhenDone(tcp, connection);
  closeHostWhenDone(tcp, connection);
}

/** Whether a bare acknowledgement should go at the end of this turn; else when it may wait no longer, `ackAtMs` is set. */
export function decideAck(connection: Connection, nowMs: number): boolean {
  if (connection.isAckDue || connection.unackedBytes >= ACK_AT_ONCE_BYTES) return true;
  if (connection.unackedBytes > 0 && connection.ackAtMs === Infinity) connection.ackAtMs = nowMs + DELAYED_ACK_MS;
  return false;
}
