/**
 * The stack's memory from the kernel: one mapping, of which what is never touched costs nothing.
 *
 * @module
 */
import { backend } from "#ffi/mod.ts";
import { call, tryCall } from "#linux/call.ts";
import type { Memory } from "../memory.ts";

const PROT_READ_WRITE = 3;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x02 | 0x20 | 0x4000;
const MADV_DONTNEED = 4;

/** @throws {OsError} When so much cannot be mapped (RLIMIT_AS). */
export function mapMemory(sizeBytes: number): Memory {
  const flags = MAP_PRIVATE_ANONYMOUS_NORESERVE;
  const address = call("mmap", "the network stack's memory", 0, sizeBytes, PROT_READ_WRITE, flags, -1, 0);
  const bytes = backend().view(address, sizeBytes) as Uint8Array<ArrayBuffer>;
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, sizeBytes), address };
}

/** Gives pages back to the kernel: they read as zeros from then on. */
export function releasePages({ address }: Memory, offset: number, sizeBytes: number): void {
  tryCall("madvise", address + offset, sizeBytes, MADV_DONTNEED);
}
