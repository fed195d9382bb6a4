/**
 * Blocks of memory for rings: powers of two from 4 KiB to 1 MiB, by a buddy allocator in typed arrays. What is given back
 * joins its neighbour, so that many small blocks become large ones again; the last one given back is the first one given,
 * since its bytes are still in the processor's cache.
 *
 * @module
 */

export const MIN_BLOCK_BYTES = 4096;
export const MAX_BLOCK_BYTES = 1 << 20;
const MIN_SHIFT = 12;
const LEVELS = 9;

export interface Blocks {
  /** Offset of the first block in the stack's memory. */
  readonly base: number;
  readonly sizeBytes: number;
  freeBytes: number;
  /** First free block of each level (0: 4 KiB), as an index of 4 KiB units, or -1. */
  readonly heads: Int32Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** At a unit where a free block begins: its level; elsewhere -1. */
  readonly levels: Int8Array;
  /** Of each 1 MiB: whether bytes of it may have been written since its pages were last given back to the kernel. */
  readonly used: Uint8Array;
}

/** `sizeBytes` is cut to a multiple of 1 MiB. */
export function makeBlocks(base: number, sizeBytes: number): Blocks {
  const tops = Math.floor(sizeBytes / MAX_BLOCK_BYTES);
  const units = tops << (LEVELS - 1);
  const blocks: Blocks = {
    base,
    sizeBytes: tops * MAX_BLOCK_BYTES,
    freeBytes: tops * MAX_BLOCK_BYTES,
    heads: new Int32Array(LEVELS).fill(-1),
    next: new Int32Array(units),
    previous: new Int32Array(units),
    levels: new Int8Array(units).fill(-1),
    used: new Uint8Array(tops),
  };
  for (let top = tops - 1; top >= 0; top--) push(blocks, top << (LEVELS - 1), LEVELS - 1);
  return blocks;
}

function levelOf(sizeBytes: number): number {
  return sizeBytes <= MIN_BLOCK_BYTES ? 0 : 32 - Math.clz32(sizeBytes - 1) - MIN_SHIFT;
}

/**
 * Takes a block.
 * @param sizeBytes A power of two from MIN_BLOCK_BYTES to MAX_BLOCK_BYTES.
 * @returns Its offset in the stack's memory, or -1 when there is none.
 */
export function takeBlock(blocks: Blocks, sizeBytes: number): number {
  const level = levelOf(sizeBytes);
  let found = level;
  while (found < LEVELS && blocks.heads[found] === -1) found++;
  if (found >= LEVELS) return -1;
  const unit = blocks.heads[found]!;
  unlink(blocks, unit, found);
  while (found > level) {
    found--;
    push(blocks, unit + (1 << found), found);
  }
  blocks.freeBytes -= MIN_BLOCK_BYTES << level;
  blocks.used[unit >> (LEVELS - 1)] = 1;
  return blocks.base + unit * MIN_BLOCK_BYTES;
}

/** Gives a block back, by the size that it was taken with. */
export function giveBlock(blocks: Blocks, offset: number, sizeBytes: number): void {
  let level = levelOf(sizeBytes);
  let unit = (offset - blocks.base) / MIN_BLOCK_BYTES;
  if (!Number.isInteger(unit) || unit < 0 || unit >= blocks.levels.length || blocks.levels[unit] !== -1) {
    throw new Error(`Block ${offset} of ${sizeBytes} bytes is given back, but it was not taken`);
  }
  blocks.freeBytes += MIN_BLOCK_BYTES << level;
  while (level < LEVELS - 1) {
    const buddy = unit ^ (1 << level);
    if (blocks.levels[buddy] !== level) break;
    unlink(blocks, buddy, level);
    unit &= ~(1 << level);
    level++;
  }
  push(blocks, unit, level);
}

/**
 * Names each 1 MiB that is free as a whole and may hold pages, but for as many as `keepBytes`, so that the caller can give
 * their pages back to the kernel.
 */
export function trimBlocks(
  blocks: Blocks,
  keepBytes: number,
  release: (offset: number, sizeBytes: number) => void,
): void {
  let keep = keepBytes;
  const top = LEVELS - 1;
  for (let unit = blocks.heads[top]!; unit !== -1; unit = blocks.next[unit]!) {
    if (blocks.used[unit >> top] === 0) continue;
    if (keep > 0) keep -= MAX_BLOCK_BYTES;
    else {
      blocks.used[unit >> top] = 0;
      release(blocks.base + unit * MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
    }
  }
}

function push({ heads, next, previous, levels }: Blocks, unit: number, level: number): void {
  const head = heads[level]!;
  next[unit] = head;
  previous[unit] = -1;
  if (head !== -1) previous[head] = unit;
  heads[level] = unit;
  levels[unit] = level;
}

function unlink({ heads, next, previous, levels }: Blocks, unit: number, level: number): void {
  const after = next[unit]!;
  const before = previous[unit]!;
  if (before === -1) heads[level] = after;
  else next[before] = after;
  if (after !== -1) previous[after] = before;
  levels[unit] = -1;
}
