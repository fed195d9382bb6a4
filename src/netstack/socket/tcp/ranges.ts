/**
 * Ranges of sequence numbers, sorted, apart from each other, and few: what has come ahead of a hole, or what the peer says
 * has come (SACK, RFC 2018). The bound makes every segment's work small, whatever a peer invents.
 *
 * @module
 */
import { distance, isAtMost, isBefore } from "./sequence.ts";

export const MAX_RANGES = 32;

export interface Ranges {
  count: number;
  /** First sequence number of each range. */
  readonly left: Int32Array;
  /** The one behind its last. */
  readonly right: Int32Array;
}

export function makeRanges(): Ranges {
  return { count: 0, left: new Int32Array(MAX_RANGES), right: new Int32Array(MAX_RANGES) };
}

/**
 * Adds a range, and joins it with those that it touches.
 * @returns The index of the range that holds it now, or -1 when there are too many: then nothing has changed.
 */
export function addRange(ranges: Ranges, left: number, right: number): number {
  const { left: lefts, right: rights } = ranges;
  let at = 0;
  while (at < ranges.count && isBefore(rights[at]!, left)) at++;
  let end = at;
  let from = left;
  let to = right;
  while (end < ranges.count && isAtMost(lefts[end]!, right)) {
    if (isBefore(lefts[end]!, from)) from = lefts[end]!;
    if (isBefore(to, rights[end]!)) to = rights[end]!;
    end++;
  }
  if (end === at) {
    if (ranges.count === MAX_RANGES) return -1;
    lefts.copyWithin(at + 1, at, ranges.count);
    rights.copyWithin(at + 1, at, ranges.count);
    ranges.count++;
  } else if (end > at + 1) {
    lefts.copyWithin(at + 1, end, ranges.count);
    rights.copyWithin(at + 1, end, ranges.count);
    ranges.count -= end - at - 1;
  }
  lefts[at] = from;
  rights[at] = to;
  return at;
}

/** Cuts off all that lies before `sequence`. */
export function dropBefore(ranges: Ranges, sequence: number): void {
  const { left, right } = ranges;
  let gone = 0;
  while (gone < ranges.count && isAtMost(right[gone]!, sequence)) gone++;
  if (gone > 0) {
    left.copyWithin(0, gone, ranges.count);
    right.copyWithin(0, gone, ranges.count);
    ranges.count -= gone;
  }
  if (ranges.count > 0 && isBefore(left[0]!, sequence)) left[0] = sequence;
}

/** How many numbers from `from` up to `to` lie in a range. */
export function countWithin({ count, left, right }: Ranges, from: number, to: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const start = isBefore(left[i]!, from) ? from : left[i]!;
    const end = isBefore(right[i]!, to) ? right[i]! : to;
    const length = distance(end, start);
    if (length > 0) sum += length;
  }
  return sum;
}

/** The first number at or after `sequence` that lies in no range. */
export function skipRanges({ count, left, right }: Ranges, sequence: number): number {
  let at = sequence;
  for (let i = 0; i < count && isAtMost(left[i]!, at); i++) if (isBefore(at, right[i]!)) at = right[i]!;
  return at;
}

/** Where the first range behind `sequence` begins, at most `limit`. */
export function nextRange({ count, left }: Ranges, sequence: number, limit: number): number {
  for (let i = 0; i < count; i++) {
    if (isBefore(sequence, left[i]!)) return isBefore(left[i]!, limit) ? left[i]! : limit;
  }
  return limit;
}
