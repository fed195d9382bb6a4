/**
 * The beginning and the end of a connection's record, its deadlines and its owner's quota.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { forget, wakeBy } from "../../deadlines.ts";
import { copyAddress, type IpAddress } from "../../ip_address.ts";
import {
  CONNECTING,
  type Connection,
  FREE,
  makeConnection,
  NO_RECOVERY,
  SYN_RECEIVED,
  SYN_SENT,
  TIME_WAIT,
} from "./connection.ts";
import { release } from "./ring.ts";
import { resetRoundTrip } from "./round_trip.ts";
import { findConnection, hashTuple, insertConnection, removeConnection } from "./table.ts";
import { type Owner, ringLimit, type Tcp, touch } from "./tcp_state.ts";
import { sendReset } from "./transmit.ts";

/** Twice the longest life of a segment (RFC 9293 §3.4.2 says four minutes; Linux, like us, one). */
export const TIME_WAIT_MS = 60_000;
/** How much the first read of a connection takes. */
export const FIRST_READ_BYTES = 16_384;

/** Keys by which host events come: the slot, and so many bits of the life of its record. */
const SLOT_BITS = 17;
export const MAX_CONNECTIONS = 1 << SLOT_BITS;
const LIFE_MASK = (1 << (31 - SLOT_BITS)) - 1;

export function keyOf({ slot, life }: Connection): number {
  return ((life & LIFE_MASK) << SLOT_BITS) | slot;
}

/** The connection that a key is of, unless that life is over. */
export function connectionOfKey(tcp: Tcp, key: number): Connection | undefined {
  const connection = tcp.connections[key & (MAX_CONNECTIONS - 1)];
  if (connection === undefined || connection.state === FREE || keyOf(connection) !== key) return undefined;
  return connection;
}

/** The container of an address, for counting. */
export function ownerOf(tcp: Tcp, link: number, address: IpAddress): Owner {
  const key = `${link} ${address.a} ${address.b} ${address.c} ${address.d}`;
  let owner = tcp.owners.get(key);
  if (owner === undefined) {
    let index = tcp.ownerList.indexOf(undefined);
    if (index === -1) index = tcp.ownerList.length;
    owner = { key, index, connections: 0, opening: 0 };
    tcp.owners.set(key, owner);
    tcp.ownerList[index] = owner;
  }
  return owner;
}

/**
 * Takes a record and puts it into the table.
 * @returns Undefined when there are too many connections, of all or of this container.
 */
export function claim(
  tcp: Tcp,
  link: number,
  inside: IpAddress,
  insidePort: number,
  outside: IpAddress,
  outsidePort: number,
  nowMs: number,
): Connection | undefined {
  const owner = ownerOf(tcp, link, inside);
  if (owner.connections >= tcp.limits.ofOne || tcp.open >= tcp.limits.connections) {
    if (tcp.timeWaitCount === 0 || !endOldestTimeWait(tcp)) {
      tcp.counters.overQuota++;
      dropOwner(tcp, owner);
      return undefined;
    }
  }
  const slot = tcp.freeSlots.pop() ?? tcp.connections.length;
  const connection = tcp.connections[slot] ??= makeConnection(slot);
  tcp.open++;
  // the oldest TIME_WAIT may have been the last of this owner
  const counted = ownerOf(tcp, link, inside);
  counted.connections++;
  connection.owner = counted.index;
  connection.link = link;
  copyAddress(connection.inside, inside);
  connection.insidePort = insidePort;
  copyAddress(connection.outside, outside);
  connection.outsidePort = outsidePort;
  connection.isIpv4 = inside.a === 0 && inside.b === 0 && inside.c === 0xffff;
  connection.hash = hashTuple(tcp.hash, link, inside, insidePort, outside, outsidePort);
  clear(connection);
  connection.lastHeardMs = nowMs;
  insertConnection(tcp, connection);
  return connection;
}

function clear(connection: Connection): void {
  connection.fd = -1 as Fd;
  connection.isHostReadable = false;
  connection.isHostWritable = false;
  connection.isHostClosing = false;
  connection.hasHostEnded = false;
  connection.hasEndedHost = false;
  connection.readBytes = FIRST_READ_BYTES;
  connection.isFinSent = false;
  connection.sendWindow = 0;
  connection.maxSendWindow = 0;
  connection.sendScale = 0;
  connection.canSack = false;
  resetRoundTrip(connection.roundTrip);
  connection.isTimed = false;
  connection.backoff = 0;
  connection.recovery = NO_RECOVERY;
  connection.duplicateAcks = 0;
  connection.receiveScale = 0;
  connection.lastAhead = -1;
  connection.hasInsideEnded = false;
  connection.isFinAhead = false;
  connection.unackedBytes = 0;
  connection.isAckDue = false;
  connection.retransmitAtMs = Infinity;
  connection.ackAtMs = Infinity;
  connection.idleAtMs = Infinity;
  connection.probes = 0;
  connection.challengeAtMs = 0;
  if (connection.sacked !== undefined) connection.sacked.count = 0;
  if (connection.ahead !== undefined) connection.ahead.count = 0;
}

/** Changes the state, and counts those that wait for an answer. */
export function enter(tcp: Tcp, connection: Connection, state: number): void {
  const was = isOpening(connection.state);
  connection.state = state;
  const is = isOpening(state);
  const owner = tcp.ownerList[connection.owner];
  if (owner !== undefined && was !== is) owner.opening += is ? 1 : -1;
}

function isOpening(state: number): boolean {
  return state === CONNECTING || state === SYN_RECEIVED || state === SYN_SENT;
}

/** Ends a record: memory, table, deadlines. The host's socket must be closed. */
export function free(tcp: Tcp, connection: Connection): void {
  if (connection.state === FREE || connection.fd !== -1) throw new Error("Connection is freed twice, or with a socket");
  enter(tcp, connection, FREE);
  removeConnection(tcp, connection);
  forget(tcp.deadlines, connection.slot);
  release(connection.toInside, tcp.blocks);
  release(connection.toHost, tcp.blocks);
  connection.life++;
  const owner = tcp.ownerList[connection.owner];
  if (owner !== undefined) {
    owner.connections--;
    dropOwner(tcp, owner);
  }
  connection.owner = -1;
  tcp.open--;
  tcp.freeSlots.push(connection.slot);
}

function dropOwner(tcp: Tcp, owner: Owner): void {
  if (owner.connections > 0) return;
  tcp.owners.delete(owner.key);
  tcp.ownerList[owner.index] = undefined;
}

/** Ends a connection at once: RST to inside where there is somebody to tell, and to the host's peer. */
export function abort(tcp: Tcp, connection: Connection, tellInside: boolean): void {
  if (tellInside && connection.state !== CONNECTING && connection.state !== SYN_SENT) sendReset(tcp, connection);
  if (connection.fd !== -1) tcp.sockets.reset(connection.fd);
  connection.fd = -1 as Fd;
  tcp.counters.aborted++;
  free(tcp, connection);
}

/** Closes the host's socket when both directions have ended. */
export function closeHostWhenDone(tcp: Tcp, connection: Connection): void {
  if (connection.fd === -1 || !connection.hasHostEnded || !connection.hasEndedHost) return;
  tcp.sockets.close(connection.fd);
  connection.fd = -1 as Fd;
}

/** Both FINs are acknowledged: the record stays for a while, to answer what is late. */
export function enterTimeWait(tcp: Tcp, connection: Connection, nowMs: number): void {
  enter(tcp, connection, TIME_WAIT);
  release(connection.toInside, tcp.blocks);
  connection.retransmitAtMs = Infinity;
  connection.idleAtMs = nowMs + TIME_WAIT_MS;
  if (tcp.timeWaitCount === tcp.limits.timeWaits) endOldestTimeWait(tcp);
  const at = 2 * ((tcp.timeWaitFirst + tcp.timeWaitCount) % tcp.limits.timeWaits);
  tcp.timeWaits[at] = connection.slot;
  tcp.timeWaits[at + 1] = connection.life;
  tcp.timeWaitCount++;
  touch(tcp, connection);
}

/** @returns Whether a record was freed by it. */
function endOldestTimeWait(tcp: Tcp): boolean {
  while (tcp.timeWaitCount > 0) {
    const at = 2 * tcp.timeWaitFirst;
    const connection = tcp.connections[tcp.timeWaits[at]!]!;
    const isIt = connection.life === tcp.timeWaits[at + 1]! && connection.state === TIME_WAIT;
    tcp.timeWaitFirst = (tcp.timeWaitFirst + 1) % tcp.limits.timeWaits;
    tcp.timeWaitCount--;
    if (!isIt) continue;
    if (connection.fd !== -1) abort(tcp, connection, false);
    else free(tcp, connection);
    return true;
  }
  return false;
}

/** Has the loop look at a connection when its next deadline comes. */
export function arm(tcp: Tcp, connection: Connection): void {
  const { retransmitAtMs, ackAtMs, idleAtMs, slot } = connection;
  wakeBy(tcp.deadlines, slot, Math.min(retransmitAtMs, ackAtMs, idleAtMs));
}

/** A sequence number to begin with (RFC 6528): a clock of 4 µs, and a secret of the connection's own. */
export function chooseSequence(connection: Connection, tcp: Tcp, nowMs: number): number {
  const secret = hashTuple(
    tcp.hash,
    ~connection.link,
    connection.outside,
    connection.outsidePort,
    connection.inside,
    connection.insidePort,
  );
  return (secret + Math.floor(nowMs * 250) % 2 ** 32) | 0;
}

/** What is the same of every connection once its first sequence numbers are known. */
export function startSequences(tcp: Tcp, connection: Connection, nowMs: number): void {
  const first = chooseSequence(connection, tcp, nowMs);
  connection.initialSend = first;
  connection.unacknowledged = first;
  connection.next = (first + 1) | 0;
  connection.recoverUpTo = first;
  connection.repairedUpTo = first;
}

/** The window that SYN tells of. */
export function startWindow(tcp: Tcp, connection: Connection): void {
  connection.receiveEdge = (connection.receiveNext + Math.min(0xffff, ringLimit(tcp))) | 0;
}

/** Whether a connection with these numbers is there. */
export function isTaken(
  tcp: Tcp,
  link: number,
  inside: IpAddress,
  insidePort: number,
  outside: IpAddress,
  outsidePort: number,
): Connection | undefined {
  const hash = hashTuple(tcp.hash, link, inside, insidePort, outside, outsidePort);
  return findConnection(tcp, hash, link, inside, insidePort, outside, outsidePort);
}
