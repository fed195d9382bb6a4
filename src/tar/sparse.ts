import { fromBytes } from "./bytes.ts";
import type { SparseRun } from "./entry.ts";
import { BLOCK, type Field } from "./layout.ts";
import { readDecimal, readNumber } from "./number.ts";

/** Most runs that a sparse file may have: 32 MB of our memory, and far above what real files need. */
export const SPARSE_MAX_RUNS = 500_000;

/**
 * Judges a sparse map: runs in order, none over another, none past the file's end, as many bytes as the archive holds
 * . Every number must be a whole one already.
 * @returns What is wrong, as words for a message; undefined if nothing is.
 */
export function findSparseFault(runs: readonly SparseRun[], realSize: number, packedSize: number): string | undefined {
  if (!Number.isSafeInteger(realSize) || realSize < 0) return "the size of the sparse file is no sensible number";
  let end = 0;
  let total = 0;
  for (const { offset, length } of runs) {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      return "the sparse map holds something that is no sensible number";
    }
    if (offset < end) return "the runs of the sparse map overlap or are not in order";
    end = offset + length;
    if (end > realSize) return "the sparse map goes past the end of the file";
    total += length;
  }
  if (total !== packedSize) return `the sparse map has ${total} bytes, but the archive holds ${packedSize}`;
  return undefined;
}

/**
 * Reads pairs of the old GNU form (type `S`) from a block into `runs`, up to the first empty pair.
 * @returns false when a number was none.
 */
export function readGnuRuns(block: Uint8Array, at: number, field: Field, runs: SparseRun[]): boolean {
  for (let pair = field[0]; pair < field[0] + field[1]; pair += 24) {
    if (block[at + pair] === 0 && block[at + pair + 12] === 0) return true;
    const offset = readNumber(block, at, [pair, 12]);
    const length = readNumber(block, at, [pair + 12, 12]);
    if (Number.isNaN(offset) || Number.isNaN(length)) return false;
    runs.push({ offset, length });
  }
  return true;
}

/** Reads the map of form 0.1, `offset,length,offset,length…`; undefined if it is none. */
export function readCommaRuns(text: string): SparseRun[] | undefined {
  if (text === "") return [];
  const numbers = text.split(",").map(readDecimal);
  return numbers.length % 2 === 0 ? pairUp(numbers) : undefined;
}

/** Pairs a flat list of numbers; undefined if one of them is NaN. */
export function pairUp(numbers: readonly number[]): SparseRun[] | undefined {
  const runs: SparseRun[] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const offset = numbers[i]!;
    const length = numbers[i + 1]!;
    if (Number.isNaN(offset) || Number.isNaN(length)) return undefined;
    runs.push({ offset, length });
  }
  return runs;
}

/**
 * The map of form 1.0 stands in front of the content: a count, then that many pairs, a decimal number a line, padded to
 * a block (tar.info, "PAX Format, Version 1.0"). Fed a block at a time.
 */
export class SparseMapReader {
  /** Bytes of the archive that the map took so far. */
  mapBytes = 0;
  #text = "";
  #numbers: number[] = [];
  #count = -1;

  /** Takes one block. @returns The runs when the map is complete, undefined while it isn't, "wrong" if it is none. */
  push(block: Uint8Array, at: number): SparseRun[] | undefined | "wrong" {
    this.mapBytes += BLOCK;
    const lines = (this.#text + fromBytes(block, at, at + BLOCK)).split("\n");
    this.#text = lines.pop()!;
    for (const line of lines) {
      const number = readDecimal(line);
      if (Number.isNaN(number)) return "wrong";
      if (this.#count >= 0) this.#numbers.push(number);
      else if (number <= SPARSE_MAX_RUNS) this.#count = number;
      else return "wrong";
      if (this.#numbers.length === 2 * this.#count) return pairUp(this.#numbers) ?? "wrong";
    }
    return this.#text.length > 20 ? "wrong" : undefined; // no number is that long, so it never grows
  }
}
