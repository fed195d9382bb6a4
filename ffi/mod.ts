/**
 * The kernel, reached through the runtime's own foreign function interface. This is the only place that knows
 * whether it runs under Bun or under Deno; both backends are one type, {@linkcode Backend}.
 *
 * @module
 */
import type { Hash } from "node:crypto";
import type { Backend, ByteSink, ByteSource, HashAlgorithm, WordFunctionName } from "./backend.ts";
import { makeBunBackend } from "./bun.ts";
import { makeDenoBackend } from "./deno.ts";

export type { ByteSink, ByteSource } from "./backend.ts";

let loaded: Backend | undefined;

/** The backend of this runtime, made at first use: importing this file does nothing. */
export function backend(): Backend {
  loaded ??= keepArrays("Bun" in globalThis ? makeBunBackend() : makeDenoBackend());
  return loaded;
}

/** How many arrays are kept alive after their address was taken: more than any one call refers to. */
const KEPT = 16;

/**
 * Keeps an array alive until so many further addresses were taken. A minifier writes `call(addressOf(cString(path)))`,
 * after which nothing else refers to the array, and a collection before the call would free the path under the
 * kernel's eyes (seen as ENOENT of /dev/null under load).
 */
function keepArrays(plain: Backend): Backend {
  const kept: Uint8Array[] = [];
  let turn = 0;
  return {
    ...plain,
    addressOf(bytes) {
      kept[turn] = bytes;
      turn = (turn + 1) % KEPT;
      return plain.addressOf(bytes);
    },
  };
}

/** What a system call takes: an integer, or an address as one. */
export type Word = number | bigint;

function checkWord(word: Word): Word {
  // Bun passes undefined, null and NaN as 0 and cuts what is too long, without an error: a forgotten fd would be stdin.
  if (typeof word !== "bigint" && !Number.isSafeInteger(word)) {
    throw new TypeError(`System call argument must be an integer, got ${String(word)}`);
  }
  return word;
}

/**
 * One system call.
 * @param nr Its number on this architecture (see `#linux/syscall_numbers.ts`).
 * @returns The result, or minus errno.
 * @throws {TypeError} When an argument is not an integer.
 */
export function syscall(
  nr: number,
  a0: Word = 0,
  a1: Word = 0,
  a2: Word = 0,
  a3: Word = 0,
  a4: Word = 0,
  a5: Word = 0,
) {
  return backend().syscall(
    nr,
    checkWord(a0),
    checkWord(a1),
    checkWord(a2),
    checkWord(a3),
    checkWord(a4),
    checkWord(a5),
  );
}

/** Calls one of the libc functions in {@linkcode WordFunctionName}; the result is that of the function, an int. */
export function libcCall(name: WordFunctionName, ...words: Word[]): number {
  words.forEach(checkWord);
  return backend().libc(name)(...words);
}

/** Zeroed memory whose address does not change while the array lives. */
export function allocate(sizeBytes: number): Uint8Array<ArrayBuffer> {
  // explicit ArrayBuffer: V8 keeps small typed arrays on its heap, where they move
  return new Uint8Array(new ArrayBuffer(sizeBytes));
}

/** The address of `bytes`, which must come from {@linkcode allocate}; they live on for the call that it is taken for. */
export function addressOf(bytes: Uint8Array): number {
  return backend().addressOf(bytes);
}

const encoder = new TextEncoder();

/**
 * A NUL-terminated copy of `text`.
 * @throws {TypeError} When it contains NUL: the kernel would see another, shorter name.
 */
export function cString(text: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const source = typeof text === "string" ? encoder.encode(text) : text;
  if (source.includes(0)) throw new TypeError(`String must not contain a NUL byte: ${JSON.stringify(String(text))}`);
  const bytes = allocate(source.length + 1);
  bytes.set(source);
  return bytes;
}

/** The digest of bytes, or of text as UTF-8, in lower-case hexadecimal. For small things: it takes all at once. */
export function hashHex(algorithm: HashAlgorithm, data: Uint8Array | string): string {
  return backend().hashHex(algorithm, data);
}

/** A hash that grows: node:crypto's, loaded when the first one is wanted. */
export function openHash(algorithm: HashAlgorithm): Hash {
  return process.getBuiltinModule("node:crypto").createHash(algorithm);
}

/** read(2) without holding up the event loop; `bytes` must come from {@linkcode allocate}. @returns The count, or minus errno. */
export function readLater(fd: number, bytes: Uint8Array): Promise<number> {
  return backend().readLater(fd, bytes);
}

/** write(2) without holding up the event loop; `bytes` must come from {@linkcode allocate}. @returns The count, or minus errno. */
export function writeLater(fd: number, bytes: Uint8Array): Promise<number> {
  return backend().writeLater(fd, bytes);
}

/** Reads a pipe by events; see {@linkcode Backend.openSource}. */
export function openSource(fd: number): ByteSource {
  return backend().openSource(fd);
}

/** Writes to a pipe by events; see {@linkcode Backend.openSink}. */
export function openSink(fd: number): ByteSink {
  return backend().openSink(fd);
}

/** For work that lasts longer than a start (unpacking, transfers): compiles code early. */
export function favourThroughput(): void {
  backend().favourThroughput();
}
