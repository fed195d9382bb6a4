/**
 * What may be sent, is: repairs first, then new bytes as far as both windows reach, then FIN (RFC 9293 §3.8.6.2.1; without
 * Nagle's algorithm: who wrote the bytes on the host has decided already when they go).
 *
 * @module
 */
import { TCP_ACK, TCP_FIN, TCP_PSH } from "../../wire/tcp.ts";
import { bytesInFlight, lostUpTo } from "./congestion.ts";
import { CLOSE_WAIT, type Connection, ESTABLISHED, FIN_WAIT_1, LAST_ACK, NO_RECOVERY } from "./connection.ts";
import { enter } from "./lifetime.ts";
import { nextRange, skipRanges } from "./ranges.ts";
import { MAX_TIMEOUT_MS } from "./round_trip.ts";
import { distance, isBefore, later } from "./sequence.ts";
import { type Tcp, touch } from "./tcp_state.ts";
import { maxPayload, segmentSize, sendSegment } from "./transmit.ts";

/** The timeout after so many in a row (RFC 6298 §5.5). */
export function timeoutOf({ roundTrip, backoff }: Connection): number {
  return Math.min(roundTrip.timeoutMs * 2 ** Math.min(backoff, 10), MAX_TIMEOUT_MS);
}

/** Bytes that were never sent. */
export function unsentBytes({ toInside, next, unacknowledged, isFinSent }: Connection): number {
  return isFinSent ? 0 : toInside.used - distance(next, unacknowledged);
}

/** Sends all that may be sent now. */
export function output(tcp: Tcp, connection: Connection, nowMs: number): void {
  const { state } = connection;
  if (state < ESTABLISHED || state > LAST_ACK) return;
  if (connection.recovery !== NO_RECOVERY) repair(tcp, connection, nowMs);
  if (connection.isFinSent) return;
  let room = connection.congestionWindow - bytesInFlight(connection);
  for (;;) {
    const flight = distance(connection.next, connection.unacknowledged);
    const unsent = connection.toInside.used - flight;
    if (unsent === 0) break;
    const window = connection.sendWindow - flight;
    const length = Math.min(unsent, room, window, maxPayload(connection));
    // silly windows: not less than a segment, but for the last bytes or half of the largest window ever seen
    const isWorth = length === unsent || length >= segmentSize(connection) || length >= connection.maxSendWindow >> 1;
    if (length <= 0 || !isWorth) {
      if (flight === 0 && connection.retransmitAtMs === Infinity) waitForWindow(tcp, connection, nowMs);
      return;
    }
    sendData(tcp, connection, length, unsent, nowMs);
    room -= length;
  }
  if (connection.hasHostEnded && !connection.isFinSent) sendFin(tcp, connection, nowMs);
}

/** Sends new bytes; the last of all carry FIN. */
function sendData(tcp: Tcp, connection: Connection, length: number, unsent: number, nowMs: number): void {
  const from = distance(connection.next, connection.unacknowledged);
  const isLast = length === unsent;
  const isEnd = isLast && connection.hasHostEnded;
  const flags = TCP_ACK | (isLast ? TCP_PSH : 0) | (isEnd ? TCP_FIN : 0);
  sendSegment(tcp, connection, connection.next, flags, from, length);
  connection.next = (connection.next + length) | 0;
  if (isEnd) finIsSent(tcp, connection);
  time(connection, nowMs);
  startTimer(tcp, connection, nowMs);
}

function sendFin(tcp: Tcp, connection: Connection, nowMs: number): void {
  sendSegment(tcp, connection, connection.next, TCP_ACK | TCP_FIN, 0, 0);
  finIsSent(tcp, connection);
  startTimer(tcp, connection, nowMs);
}

function finIsSent(tcp: Tcp, connection: Connection): void {
  connection.next = (connection.next + 1) | 0;
  connection.isFinSent = true;
  if (connection.state === ESTABLISHED) enter(tcp, connection, FIN_WAIT_1);
  else if (connection.state === CLOSE_WAIT) enter(tcp, connection, LAST_ACK);
}

/** Times this segment, if none is timed (RFC 6298 §3). */
function time(connection: Connection, nowMs: number): void {
  if (connection.isTimed || connection.recovery !== NO_RECOVERY) return;
  connection.isTimed = true;
  connection.timedUpTo = connection.next;
  connection.timedSinceMs = nowMs;
}

function startTimer(tcp: Tcp, connection: Connection, nowMs: number): void {
  if (connection.retransmitAtMs !== Infinity) return;
  connection.retransmitAtMs = nowMs + timeoutOf(connection);
  touch(tcp, connection);
}

/** Nothing is on the way and nothing may go: ask for the window in a while (RFC 9293 §3.8.6.1). */
function waitForWindow(tcp: Tcp, connection: Connection, nowMs: number): void {
  connection.retransmitAtMs = nowMs + timeoutOf(connection);
  touch(tcp, connection);
}

/**
 * Sends again what is taken for lost, as far as the congestion window allows; the first hole in any case (RFC 6675 §5, 4.3).
 */
function repair(tcp: Tcp, connection: Connection, nowMs: number): void {
  const lost = lostUpTo(connection);
  let room = connection.congestionWindow - bytesInFlight(connection);
  for (;;) {
    const from = nextHole(connection);
    const isFirst = !isBefore(connection.unacknowledged, connection.repairedUpTo);
    if (!isBefore(from, lost) || (room <= 0 && !isFirst)) return;
    const holeEnd = connection.sacked === undefined ? lost : nextRange(connection.sacked, from, lost);
    const wanted = Math.min(distance(holeEnd, from), Math.max(room, connection.mss), maxPayload(connection));
    const sent = resend(tcp, connection, from, wanted);
    connection.repairedUpTo = (from + sent) | 0;
    room -= sent;
    startTimer(tcp, connection, nowMs);
  }
}

function nextHole({ repairedUpTo, unacknowledged, sacked }: Connection): number {
  const from = later(repairedUpTo, unacknowledged);
  return sacked === undefined ? from : skipRanges(sacked, from);
}

/** Sends `wanted` numbers again that were sent before: bytes, and FIN behind the last. @returns How many it took, at least 1. */
function resend(tcp: Tcp, connection: Connection, from: number, wanted: number): number {
  const { toInside, unacknowledged, isFinSent } = connection;
  const place = distance(from, unacknowledged);
  const length = Math.min(wanted, toInside.used - place);
  const fin = isFinSent && wanted > length ? TCP_FIN : 0;
  sendSegment(tcp, connection, from, TCP_ACK | (length > 0 ? TCP_PSH : 0) | fin, place, length);
  tcp.counters.retransmitted++;
  return length + (fin === 0 ? 0 : 1);
}
