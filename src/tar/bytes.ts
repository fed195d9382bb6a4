import { Buffer } from "node:buffer";

declare const brand: unique symbol;

/**
 * A run of bytes, held as a string whose char codes are all 0…255, one char a byte. Names in archives and on disk are
 * bytes and need not be UTF-8; in this form they are cheap to compare, to split and to use as keys, and nothing is lost.
 * Made by `fromText`, `fromBytes` and the readers of archives and directories; never show one as it is: use `toText`
 * or `quote`.
 */
export type ByteString = string & { readonly [brand]: "ByteString" };

/** The bytes of no name at all. */
export const EMPTY_BYTES = "" as ByteString;

const ASCII = /^[\x00-\x7f]*$/;

/** The UTF-8 bytes of a JavaScript string. */
export function fromText(text: string): ByteString {
  return (ASCII.test(text) ? text : Buffer.from(text, "utf8").toString("latin1")) as ByteString;
}

/** The bytes `start` … `end` of an array. */
export function fromBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): ByteString {
  return asBuffer(bytes).toString("latin1", start, end) as ByteString;
}

/** A copy as an array, as system calls and archives want it. */
export function toBytes(bytes: ByteString): Uint8Array {
  return Buffer.from(bytes, "latin1");
}

/** The text that the bytes spell in UTF-8, or undefined where they spell none. */
export function toText(bytes: ByteString): string | undefined {
  if (ASCII.test(bytes)) return bytes;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(toBytes(bytes));
  } catch {
    return undefined;
  }
}

/** A view of the same memory that has Node's fast latin1 and utf8 methods. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** C0, DEL, C1, and the characters that turn the direction of text, and quotes and backslashes. */
const UNSAFE = /[\x00-\x1f\x7f-\x9f"\\\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * A name for a message: quoted, control characters and bytes that are no UTF-8 as `\xNN` or `\u{N}`, cut at
 * `maxLength` characters so that a message stays one line.
 */
export function quote(bytes: ByteString, maxLength = 200): string {
  const text = toText(bytes);
  const shown = text === undefined
    ? bytes.replace(/[\x00-\x1f\x7f-\xff"\\]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`)
    : text.replace(UNSAFE, (char) => `\\u{${char.charCodeAt(0).toString(16)}}`);
  return shown.length <= maxLength ? `"${shown}"` : `"${shown.slice(0, maxLength)}…" (${bytes.length} bytes)`;
}
