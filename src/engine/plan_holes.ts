/**
 * Where a container's id stands in its tape: as 64 digits in paths, as the first twelve of them in the host name. Another
 * id is as long, so that it can be put there without planning again. The id is random: what looks like it is it.
 *
 * @module
 */

/** Offsets in bytes. */
export interface Holes {
  readonly whole: readonly number[];
  /** Of the first twelve digits alone. */
  readonly short: readonly number[];
}

/** How much of an id people see, and is the host name. */
const SHORT_DIGITS = 12;

/** Finds where the id stands. */
export function findHoles(bytes: Uint8Array, id: string): Holes {
  const holes: { whole: number[]; short: number[] } = { whole: [], short: [] };
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const short = id.slice(0, SHORT_DIGITS);
  for (let at = buffer.indexOf(short, 0, "latin1"); at >= 0; at = buffer.indexOf(short, at, "latin1")) {
    const isWhole = buffer.toString("latin1", at, at + id.length) === id;
    holes[isWhole ? "whole" : "short"].push(at);
    at += isWhole ? id.length : SHORT_DIGITS;
  }
  return holes;
}

/** Writes another id into the holes. */
export function fillHoles(bytes: Uint8Array, holes: Holes, id: string): void {
  const digits = new TextEncoder().encode(id);
  for (const at of holes.whole) bytes.set(digits, at);
  const short = digits.subarray(0, SHORT_DIGITS);
  for (const at of holes.short) bytes.set(short, at);
}

/** The same in a text. */
export function replaceId(text: string, from: string, to: string): string {
  return text.replaceAll(from, to).replaceAll(from.slice(0, SHORT_DIGITS), to.slice(0, SHORT_DIGITS));
}
