/**
 * What happens when a connection's time has come.
 *
 * @module
 */
import { TCP_ACK } from "../../wire/tcp.ts";
import { onTimeout } from "./congestion.ts";
import { CONNECTING, type Connection, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from "./connection.ts";
import { readFromHost } from "./host_side.ts";
import { decideAck, IDLE_MS } from "./input.ts";
import { abort, arm, free } from "./lifetime.ts";
import { tryToOpen } from "./open.ts";
import { output, timeoutOf, unsentBytes } from "./output.ts";
import { type Tcp } from "./tcp_state.ts";
import { sendAck, sendSegment, sendSyn } from "./transmit.ts";

/** SYN goes six times, after 1, 3, 7, 15 and 31 s: as Linux's own (tcp_syn_retries), and a client waits no longer. */
const MAX_SYN_BACKOFF = 6;
/** How long a container may take to tell its MAC: the host would call it unreachable after three seconds, too. */
const NEIGHBOUR_PATIENCE_MS = 3000;
/** About four minutes without an answer (RFC 9293 §3.8.3 asks for at least 100 s). */
const MAX_BACKOFF = 10;
/** Questions whether inside is alive, and whether its window has opened, that may go unanswered. */
const MAX_PROBES = 8;
const PROBE_MS = 15_000;

/** Looks at all three deadlines of a connection. */
export function onDeadline(tcp: Tcp, connection: Connection, nowMs: number): void {
  const { state } = connection;
  if (nowMs >= connection.idleAtMs) {
    if (state === TIME_WAIT) {
      // a host that does not read keeps it
      if (connection.fd === -1) return free(tcp, connection);
      connection.idleAtMs = nowMs + IDLE_MS;
    } else if (state === CONNECTING) {
      return abort(tcp, connection, false);
    } else if (!askIfAlive(tcp, connection, nowMs)) return;
  }
  if (nowMs >= connection.ackAtMs) sendAck(tcp, connection);
  if (nowMs >= connection.retransmitAtMs && !onRetransmitTime(tcp, connection, nowMs)) return;
  if (connection.isHostReadable) readFromHost(tcp, connection, nowMs);
  finishLook(tcp, connection, nowMs);
}

/** The end of every look at a connection: an acknowledgement that is due goes, and the next deadline is set. */
export function finishLook(tcp: Tcp, connection: Connection, nowMs: number): void {
  if (connection.state === 0) return;
  if (connection.state !== CONNECTING && connection.state !== SYN_SENT && decideAck(connection, nowMs)) {
    sendAck(tcp, connection);
  }
  arm(tcp, connection);
}

/** @returns False when the connection ended by it. */
function askIfAlive(tcp: Tcp, connection: Connection, nowMs: number): boolean {
  const askAtMs = connection.lastHeardMs + IDLE_MS;
  if (nowMs < askAtMs) {
    connection.idleAtMs = askAtMs;
    return true;
  }
  if (connection.probes >= MAX_PROBES) {
    abort(tcp, connection, true);
    return false;
  }
  connection.probes++;
  sendProbe(tcp, connection);
  connection.idleAtMs = nowMs + PROBE_MS;
  return true;
}

/** A number that was acknowledged long ago, without data: whoever is there says where it stands (RFC 9293 §3.8.4). */
function sendProbe(tcp: Tcp, connection: Connection): void {
  sendSegment(tcp, connection, (connection.unacknowledged - 1) | 0, TCP_ACK, 0, 0);
}

/** @returns False when the connection ended by it. */
function onRetransmitTime(tcp: Tcp, connection: Connection, nowMs: number): boolean {
  connection.retransmitAtMs = Infinity;
  if (connection.state === SYN_SENT || connection.state === SYN_RECEIVED) return onSynTime(tcp, connection, nowMs);
  tcp.counters.timeouts++;
  if (connection.next === connection.unacknowledged) {
    if (unsentBytes(connection) > 0) return onWindowTime(tcp, connection, nowMs);
    return true;
  }
  if (connection.backoff >= MAX_BACKOFF) {
    abort(tcp, connection, true);
    return false;
  }
  connection.backoff++;
  onTimeout(connection);
  output(tcp, connection, nowMs);
  return true;
}

/** @returns False when the connection ended by it. */
function onSynTime(tcp: Tcp, connection: Connection, nowMs: number): boolean {
  const isWithoutMac = connection.state === SYN_SENT && connection.macHigh === -1;
  if (isWithoutMac && nowMs - connection.lastHeardMs < NEIGHBOUR_PATIENCE_MS) {
    tryToOpen(tcp, connection, nowMs);
    return true;
  }
  if (isWithoutMac || connection.backoff >= MAX_SYN_BACKOFF) {
    abort(tcp, connection, false);
    return false;
  }
  connection.backoff++;
  if (connection.state === SYN_SENT) tryToOpen(tcp, connection, nowMs);
  else {
    sendSyn(tcp, connection, true);
    connection.retransmitAtMs = nowMs + timeoutOf(connection);
  }
  return true;
}

/** The peer's window is closed, or too small to be worth it: what fits is sent, or the window is asked for. */
function onWindowTime(tcp: Tcp, connection: Connection, nowMs: number): boolean {
  if (connection.probes >= MAX_PROBES) {
    abort(tcp, connection, true);
    return false;
  }
  connection.backoff++;
  if (connection.sendWindow > 0) {
    connection.maxSendWindow = connection.sendWindow;
    connection.congestionWindow = Math.max(connection.congestionWindow, connection.mss);
    output(tcp, connection, nowMs);
    if (connection.next !== connection.unacknowledged) return true;
  }
  connection.probes++;
  sendProbe(tcp, connection);
  connection.retransmitAtMs = nowMs + timeoutOf(connection);
  return true;
}
