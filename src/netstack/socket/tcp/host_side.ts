/**
 * The host's side of a connection: reading what it has for inside, writing what inside has sent.
 *
 * Sockets are edge-triggered: `isHostReadable` and `isHostWritable` remember what was told, until a call says that it is over.
 *
 * @module
 */
import { HOST_CLOSED, HOST_FAILED, HOST_READABLE, HOST_WRITABLE } from "../../host_events.ts";
import { CLOSE_WAIT, type Connection, ESTABLISHED, FREE, SYN_RECEIVED, TIME_WAIT } from "./connection.ts";
import { abort, closeHostWhenDone, FIRST_READ_BYTES } from "./lifetime.ts";
import { output } from "./output.ts";
import { consume, offsetAt, pieceAt, release, reserve } from "./ring.ts";
import { goOnLater, ringLimit, type Tcp, touch } from "./tcp_state.ts";
import { hasWindowToTell } from "./transmit.ts";
import { MIN_BLOCK_BYTES } from "../../blocks.ts";
import { wakeBy } from "../../deadlines.ts";

const EINTR = 4;
const EAGAIN = 11;

/** What one connection may read in one turn before others have theirs. */
const TURN_BYTES = 1 << 18;
/** When there was no memory: how long until it is tried again. */
const MEMORY_RETRY_MS = 10;

/** Events at the host's socket of a connection that has been opened. */
export function onHostEvents(tcp: Tcp, connection: Connection, events: number, nowMs: number): void {
  if ((events & HOST_FAILED) !== 0) {
    // EPOLLHUP stands for "both directions are closed" as well: then there is no error
    const failure = tcp.sockets.failureOf(connection.fd);
    if (failure !== 0) {
      // what came before the reset is still read, as a program of the host would
      abort(tcp, connection, true);
      return;
    }
  }
  if ((events & (HOST_CLOSED | HOST_FAILED)) !== 0) connection.isHostClosing = true;
  if ((events & (HOST_READABLE | HOST_CLOSED | HOST_FAILED)) !== 0) connection.isHostReadable = true;
  if ((events & (HOST_WRITABLE | HOST_FAILED)) !== 0) {
    connection.isHostWritable = true;
    if (connection.toHost.used > 0 && !flushToHost(tcp, connection)) return;
  }
  readFromHost(tcp, connection, nowMs);
}

/** Reads what the host has, as far as there is room, and sends it on. */
export function readFromHost(tcp: Tcp, connection: Connection, nowMs: number): void {
  const { state, toInside } = connection;
  if (!connection.isHostReadable || connection.hasHostEnded || (state !== ESTABLISHED && state !== CLOSE_WAIT)) return;
  let budget = TURN_BYTES;
  while (budget > 0) {
    if (!makeRoom(tcp, connection, nowMs)) return;
    const room = Math.min(toInside.capacity - toInside.used, budget);
    const first = pieceAt(toInside, toInside.used, room);
    const got = tcp.sockets.receive(
      connection.fd,
      offsetAt(toInside, toInside.used),
      first,
      toInside.block,
      room - first,
    );
    if (got === -EINTR) continue;
    if (got === 0) {
      connection.hasHostEnded = true;
      connection.isHostReadable = false;
      closeHostWhenDone(tcp, connection);
      output(tcp, connection, nowMs);
      break;
    }
    if (got < 0) {
      connection.isHostReadable = false;
      if (got === -EAGAIN) break;
      abort(tcp, connection, true);
      return;
    }
    toInside.used += got;
    budget -= got;
    tcp.counters.bytesIn += got;
    if (got < room) {
      if (got < connection.readBytes >> 2) connection.readBytes = Math.max(connection.readBytes >> 1, FIRST_READ_BYTES);
      // a short read has emptied it, unless the end is behind
      if (!connection.isHostClosing) connection.isHostReadable = false;
    } else if (room === toInside.capacity) {
      connection.readBytes = Math.min(connection.readBytes * 4, ringLimit(tcp));
    }
    output(tcp, connection, nowMs);
    if (!connection.isHostReadable) break;
  }
  if (toInside.used === 0) release(toInside, tcp.blocks);
  if (connection.isHostReadable) goOnLater(tcp, connection);
}

/** @returns False when the ring is full, or no memory is left. */
function makeRoom(tcp: Tcp, connection: Connection, nowMs: number): boolean {
  const { toInside } = connection;
  const limit = ringLimit(tcp);
  const { memory } = tcp.around;
  if (toInside.used < toInside.capacity) return true;
  if (toInside.used > 0) {
    // full: as large as what is on the way needs, not more
    return toInside.capacity < limit &&
      reserve(toInside, memory, tcp.blocks, Math.min(toInside.capacity * 4, limit), toInside.used);
  }
  for (let size = Math.min(connection.readBytes, limit); size >= MIN_BLOCK_BYTES; size >>= 1) {
    if (reserve(toInside, memory, tcp.blocks, size, 0)) return true;
  }
  tcp.counters.noMemory++;
  wakeBy(tcp.deadlines, connection.slot, nowMs + MEMORY_RETRY_MS);
  return false;
}

/**
 * Writes what inside has sent and the host has not taken yet; then passes inside's FIN on.
 * @returns False when the connection ended by it.
 */
export function flushToHost(tcp: Tcp, connection: Connection): boolean {
  const { toHost } = connection;
  while (toHost.used > 0 && connection.isHostWritable) {
    const first = pieceAt(toHost, 0, toHost.used);
    const sent = tcp.sockets.send(connection.fd, offsetAt(toHost, 0), first, toHost.block, toHost.used - first);
    if (sent === -EINTR) continue;
    if (sent === -EAGAIN) {
      connection.isHostWritable = false;
      break;
    }
    if (sent < 0) {
      abort(tcp, connection, true);
      return false;
    }
    if (sent < toHost.used) connection.isHostWritable = false;
    consume(toHost, sent);
    tcp.counters.bytesOut += sent;
  }
  if (toHost.used === 0) {
    if (connection.ahead === undefined || connection.ahead.count === 0) release(toHost, tcp.blocks);
    endHostWhenDone(tcp, connection);
  }
  if (connection.state < TIME_WAIT && connection.state > SYN_RECEIVED && hasWindowToTell(tcp, connection)) {
    connection.isAckDue = true;
    touch(tcp, connection);
  }
  return true;
}

/** Passes inside's FIN on, once all that stood before it has gone. */
export function endHostWhenDone(tcp: Tcp, connection: Connection): void {
  if (!connection.hasInsideEnded || connection.hasEndedHost || connection.toHost.used > 0) return;
  connection.hasEndedHost = true;
  if (connection.fd === -1 || connection.state === FREE) return;
  tcp.sockets.endSending(connection.fd);
  closeHostWhenDone(tcp, connection);
}
