/**
 * Text and bytes as they may stand in a line on a terminal: quoted, with controls escaped, and cut with their
 * length told.
 *
 * @module
 */
import { isUnprintable } from "#linux/unprintable.ts";

const SHORT: ReadonlyMap<number, string> = new Map([[0x09, "\\t"], [0x0a, "\\n"], [0x0d, "\\r"]]);

/** Escapes what must not reach a terminal: `\x1b` for ASCII, `\u009b` for the rest. */
export function escapeControls(text: string): string {
  let out = "";
  for (const character of text) out += escapeCode(character.codePointAt(0)!, character);
  return out;
}

function escapeCode(code: number, character: string): string {
  if (!isUnprintable(code)) return character;
  return SHORT.get(code) ??
    (code < 0x80 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
}

/**
 * Quotes bytes as a C string: UTF-8 as text, other bytes as `\xff`.
 * @param most Characters, escapes counted as they are written, after which it is cut: `"abc"… (4096 bytes)`.
 */
export function quoteBytes(bytes: Uint8Array, most: number): string {
  let out = "";
  let at = 0;
  while (at < bytes.length && out.length < most) {
    const byte = bytes[at]!;
    const size = sequenceSize(bytes, at);
    if (size === 0) {
      out += `\\x${byte.toString(16).padStart(2, "0")}`;
      at++;
      continue;
    }
    if (byte === 0x22 || byte === 0x5c) {
      out += `\\${String.fromCharCode(byte)}`;
    } else {
      const character = decoder.decode(bytes.subarray(at, at + size));
      out += escapeCode(character.codePointAt(0)!, character);
    }
    at += size;
  }
  return at < bytes.length ? `"${out}"… (${bytes.length} bytes)` : `"${out}"`;
}

/** Quotes text as {@linkcode quoteBytes} does; lone surrogates are shown as U+FFFD, as they would be encoded. */
export function quoteText(text: string, most: number): string {
  return quoteBytes(encoder.encode(text), most);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** How many bytes the UTF-8 character at `at` has; 0 when there is none (RFC 3629 §4). */
function sequenceSize(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return 1;
  const size = first >= 0xc2 && first <= 0xdf
    ? 2
    : first >= 0xe0 && first <= 0xef
    ? 3
    : first >= 0xf0 && first <= 0xf4
    ? 4
    : 0;
  if (size === 0 || at + size > bytes.length) return 0;
  for (let k = 1; k < size; k++) {
    if ((bytes[at + k]! & 0xc0) !== 0x80) return 0;
  }
  const second = bytes[at + 1]!;
  // overlong forms, surrogates, and what lies beyond U+10FFFF
  if ((first === 0xe0 && second < 0xa0) || (first === 0xed && second > 0x9f)) return 0;
  if ((first === 0xf0 && second < 0x90) || (first === 0xf4 && second > 0x8f)) return 0;
  return size;
}
