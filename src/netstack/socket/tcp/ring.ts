/**
 * The bytes of one direction of a connection, in a block that is taken when the first byte comes and given back with the last
 * one: a connection that is idle holds none. A ring that is full takes a larger block, up to its limit.
 *
 * @module
 */
import { type Blocks, giveBlock, MIN_BLOCK_BYTES, takeBlock } from "../../blocks.ts";
import type { Memory } from "../../memory.ts";

export interface Ring {
  /** Offset of the block in the stack's memory, or -1. */
  block: number;
  /** A power of two; 0 without a block. */
  capacity: number;
  /** Place of the first byte in the block. */
  head: number;
  /** Bytes held. */
  used: number;
}

export function makeRing(): Ring {
  return { block: -1, capacity: 0, head: 0, used: 0 };
}

/**
 * Makes room for `wanted` bytes from the head on, of which the first `held` are kept (more than `used` when bytes were stored
 * ahead of a hole).
 * @returns False when there is no block to be had: the ring is as it was.
 */
export function reserve(ring: Ring, memory: Memory, blocks: Blocks, wanted: number, held: number): boolean {
  if (wanted <= ring.capacity) return true;
  let capacity = Math.max(ring.capacity, MIN_BLOCK_BYTES);
  while (capacity < wanted) capacity *= 2;
  const block = takeBlock(blocks, capacity);
  if (block === -1) return false;
  if (held > 0) {
    const first = Math.min(held, ring.capacity - ring.head);
    memory.bytes.copyWithin(block, ring.block + ring.head, ring.block + ring.head + first);
    memory.bytes.copyWithin(block + first, ring.block, ring.block + held - first);
  }
  if (ring.block !== -1) giveBlock(blocks, ring.block, ring.capacity);
  ring.block = block;
  ring.capacity = capacity;
  ring.head = 0;
  return true;
}

/** Offset in memory of the byte that stands `distance` behind the head. */
export function offsetAt(ring: Ring, distance: number): number {
  return ring.block + ((ring.head + distance) & (ring.capacity - 1));
}

/** Of `length` bytes from `distance` on: how many lie in one piece; the rest begins at the block's beginning. */
export function pieceAt(ring: Ring, distance: number, length: number): number {
  return Math.min(length, ring.capacity - ((ring.head + distance) & (ring.capacity - 1)));
}

/** Copies bytes of the memory to where they belong, `distance` behind the head; there is room for them. */
export function store(ring: Ring, memory: Memory, distance: number, from: number, length: number): void {
  const first = pieceAt(ring, distance, length);
  memory.bytes.copyWithin(offsetAt(ring, distance), from, from + first);
  if (first < length) memory.bytes.copyWithin(ring.block, from + first, from + length);
}

/** Lets the first `length` bytes go. */
export function consume(ring: Ring, length: number): void {
  ring.used -= length;
  ring.head = (ring.head + length) & (ring.capacity - 1);
}

/** Gives the block back. */
export function release(ring: Ring, blocks: Blocks): void {
  if (ring.block !== -1) giveBlock(blocks, ring.block, ring.capacity);
  ring.block = -1;
  ring.capacity = 0;
  ring.head = 0;
  ring.used = 0;
}
