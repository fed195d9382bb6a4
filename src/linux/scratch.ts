/**
 * Memory for the arguments of system calls, made once: names and small structs are written into it right before a call.
 * Everything here is synchronous and single-threaded, so nothing in it has to outlive the call.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";

/** Room for a path with its NUL (PATH_MAX). */
const PATH_BYTES = 4096;
/** For what a call fills: directory entries, link targets, attribute values (up to 64 KiB). */
const IO_BYTES = 65_536;

/** A piece of memory with its address. */
export interface Memory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly address: number;
  /** The same bytes for {@linkcode readChars}, when that was first wanted: Buffer takes a third of a millisecond to load. */
  buffer?: Buffer;
}

/** The pieces that one call may need at the same time. */
export interface Scratch {
  readonly nameA: Memory;
  readonly nameB: Memory;
  readonly struct: Memory;
  readonly io: Memory;
}

let scratchMemory: Scratch | undefined;

function makeMemory(sizeBytes: number): Memory {
  const bytes = allocate(sizeBytes);
  return { bytes, view: new DataView(bytes.buffer), address: addressOf(bytes) };
}

/** The memory, made at the first call. */
export function scratch(): Scratch {
  scratchMemory ??= {
    nameA: makeMemory(PATH_BYTES),
    nameB: makeMemory(PATH_BYTES),
    struct: makeMemory(256),
    io: makeMemory(IO_BYTES),
  };
  return scratchMemory;
}

/** A part of memory as a string of chars 0…255. */
export function readChars(memory: Memory, from: number, to: number): string {
  memory.buffer ??= Buffer.from(memory.bytes.buffer);
  return memory.buffer.toString("latin1", from, to);
}

/**
 * Writes a name into memory, NUL at its end.
 * @param name Its bytes as a string of chars 0…255, since names need not be UTF-8.
 * @returns The address; 0, which the kernel answers with EFAULT, is never given.
 * @throws {TypeError} When it holds a NUL or a char above 255: the kernel would see another name.
 * @throws {RangeError} When it is longer than PATH_MAX allows.
 */
export function putName(memory: Memory, name: string): number {
  if (name.length >= PATH_BYTES) throw new RangeError(`Name has ${name.length} bytes, the kernel takes 4095`);
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code === 0 || code > 255) throw new TypeError(`Name must be bytes without NUL, got ${JSON.stringify(name)}`);
    memory.bytes[i] = code;
  }
  memory.bytes[name.length] = 0;
  return memory.address;
}
