/**
 * Sequence numbers (RFC 9293 §3.4): 32 bits that wrap, kept as signed integers. The difference of two is right as long as they
 * are less than 2^31 apart.
 *
 * @module
 */

/** How far `a` is behind `b` in the stream: negative when it is before it. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

export function isBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function isAtMost(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

export function later(a: number, b: number): number {
  return ((a - b) | 0) < 0 ? b : a;
}
