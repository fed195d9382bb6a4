/**
 * Congestion control: NewReno (RFC 5681, RFC 6582) with repair by selective acknowledgements (RFC 6675). A link of ours seldom
 * loses anything; where it does (a queue that overflows, loss that was asked for), this keeps it sane.
 *
 * @module
 */
import { type Connection, FAST_RECOVERY, NO_RECOVERY, rangesOf, TIMEOUT_RECOVERY } from "./connection.ts";
import { addRange, countWithin, dropBefore } from "./ranges.ts";
import { distance, isAtMost, isBefore, later } from "./sequence.ts";

/** A window larger than any ring has no meaning. */
const MAX_WINDOW = 16 << 20;
/** RFC 5681 §3.2, RFC 6675 §2. */
const DUPLICATE_THRESHOLD = 3;

/** RFC 6928. */
export function startCongestion(connection: Connection): void {
  connection.congestionWindow = Math.min(10 * connection.mss, Math.max(2 * connection.mss, 14_600));
  connection.slowStartThreshold = MAX_WINDOW;
}

/** Bytes that are believed to be on the way (RFC 6675 `pipe`). */
export function bytesInFlight(connection: Connection): number {
  const { unacknowledged, next, sacked, recovery } = connection;
  if (recovery === NO_RECOVERY) {
    const flight = distance(next, unacknowledged);
    return sacked === undefined || sacked.count === 0 ? flight : flight - countWithin(sacked, unacknowledged, next);
  }
  const repaired = later(connection.repairedUpTo, unacknowledged);
  const behind = later(lostUpTo(connection), repaired);
  return missing(connection, unacknowledged, repaired) + missing(connection, behind, next);
}

function missing({ sacked }: Connection, from: number, to: number): number {
  const length = distance(to, from);
  return sacked === undefined || sacked.count === 0 ? length : length - countWithin(sacked, from, to);
}

/** During a repair: what lies before it and was not acknowledged is taken for lost. */
export function lostUpTo(connection: Connection): number {
  const { recovery, sacked, unacknowledged, next, recoverUpTo, mss } = connection;
  if (recovery === TIMEOUT_RECOVERY) return recoverUpTo;
  if (sacked !== undefined && sacked.count > 0) return sacked.right[sacked.count - 1]!;
  // without selective acknowledgements: one segment at a time (RFC 6582)
  return distance(next, unacknowledged) > mss ? (unacknowledged + mss) | 0 : next;
}

/** Takes the peer's blocks. @returns Whether one of them was news. */
export function takeSacks(connection: Connection, blocks: Uint32Array, count: number): boolean {
  const { unacknowledged, next } = connection;
  let news = false;
  for (let i = 0; i < count; i++) {
    const left = blocks[2 * i]! | 0;
    const right = blocks[2 * i + 1]! | 0;
    // only what is on the way: D-SACK (RFC 2883) tells of what is not, and others lie
    if (!isBefore(left, right) || isBefore(left, unacknowledged) || isBefore(next, right)) continue;
    const ranges = rangesOf(connection, "sacked");
    const before = countWithin(ranges, left, right);
    if (before === distance(right, left)) continue;
    news = addRange(ranges, left, right) !== -1 || news;
  }
  return news;
}

/** Up to `ack` everything has arrived: windows grow, repairs end. `acked` counts bytes. */
export function onNewAck(connection: Connection, ack: number, acked: number): void {
  const { mss, sacked } = connection;
  connection.duplicateAcks = 0;
  if (sacked !== undefined && sacked.count > 0) dropBefore(sacked, ack);
  if (connection.recovery !== NO_RECOVERY && isAtMost(connection.recoverUpTo, ack)) {
    if (connection.recovery === FAST_RECOVERY) connection.congestionWindow = connection.slowStartThreshold;
    connection.recovery = NO_RECOVERY;
    return;
  }
  if (connection.recovery === FAST_RECOVERY) {
    // a partial acknowledgement without SACK: the next segment is missing as well
    if (!connection.canSack) connection.repairedUpTo = ack;
    return;
  }
  if (connection.congestionWindow < connection.slowStartThreshold) {
    connection.congestionWindow = Math.min(connection.congestionWindow + acked, MAX_WINDOW);
  } else {
    const grown = Math.max(1, Math.floor((mss * acked) / connection.congestionWindow));
    connection.congestionWindow = Math.min(connection.congestionWindow + grown, MAX_WINDOW);
  }
}

/** An acknowledgement that brought nothing but the news that something else has come. @returns Whether a repair begins. */
export function onDuplicateAck(connection: Connection, hasMoreToSend: boolean): boolean {
  connection.duplicateAcks++;
  if (connection.recovery !== NO_RECOVERY) return false;
  const { mss, sacked, unacknowledged, next } = connection;
  const segments = Math.ceil(distance(next, unacknowledged) / mss);
  // RFC 5827: with few segments on the way there cannot be three
  const threshold = hasMoreToSend || segments > DUPLICATE_THRESHOLD ? DUPLICATE_THRESHOLD : Math.max(1, segments - 1);
  const isLost = connection.duplicateAcks >= threshold ||
    (sacked !== undefined &&
      (sacked.count >= DUPLICATE_THRESHOLD ||
        countWithin(sacked, unacknowledged, next) > (DUPLICATE_THRESHOLD - 1) * mss));
  if (!isLost) return false;
  connection.slowStartThreshold = Math.max(distance(next, unacknowledged) >> 1, 2 * mss);
  connection.congestionWindow = connection.slowStartThreshold;
  connection.recovery = FAST_RECOVERY;
  connection.recoverUpTo = next;
  connection.repairedUpTo = unacknowledged;
  connection.isTimed = false;
  return true;
}

/** Nothing was heard in time: begin anew with one segment (RFC 5681 §3.1, RFC 6675 §5.1). */
export function onTimeout(connection: Connection): void {
  const { mss, unacknowledged, next } = connection;
  // once for all losses of one flight
  if (connection.recovery !== TIMEOUT_RECOVERY) {
    connection.slowStartThreshold = Math.max(distance(next, unacknowledged) >> 1, 2 * mss);
  }
  connection.congestionWindow = mss;
  connection.recovery = TIMEOUT_RECOVERY;
  connection.recoverUpTo = next;
  connection.repairedUpTo = unacknowledged;
  connection.duplicateAcks = 0;
  connection.isTimed = false;
  // the peer may have thrown it away again (RFC 2018 §8)
  if (connection.sacked !== undefined) connection.sacked.count = 0;
}
