/**
 * Names in DNS messages (RFC 1035 §3.1, §4.1.4). Held as text: labels joined by dots, without one at the end, bytes that are
 * no plain host name's as `\DDD`; the root is the empty text.
 *
 * @module
 */

/** A name may take so many bytes (RFC 1035 §2.3.4). */
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const MAX_LABELS = 128;

/** A name that was read. */
export interface ReadName {
  /** In lower case: names are compared without regard to it (RFC 4343). */
  readonly name: string;
  /** Behind it, in the message. */
  readonly next: number;
}

/**
 * Reads a name. Pointers go backwards only, each before the place where the last one led (A-062: one that points to
 * itself, or chains that take quadratic time).
 * @param start Where the message begins: pointers count from there.
 * @returns undefined when it is none.
 */
export function readName(bytes: Uint8Array, start: number, at: number, end: number): ReadName | undefined {
  let text = "";
  let position = at;
  let next = -1;
  let limit = at;
  let nameBytes = 1;
  for (let labels = 0; labels <= MAX_LABELS;) {
    if (position >= end) return undefined;
    const length = bytes[position]!;
    if (length === 0) return { name: text, next: next < 0 ? position + 1 : next };
    if (length >= 0xc0) {
      if (position + 1 >= end) return undefined;
      const target = start + ((length & 0x3f) << 8 | bytes[position + 1]!);
      if (target >= limit) return undefined;
      if (next < 0) next = position + 2;
      limit = target;
      position = target;
      continue;
    }
    if (length > MAX_LABEL_BYTES || position + 1 + length > end) return undefined;
    nameBytes += length + 1;
    if (nameBytes > MAX_NAME_BYTES) return undefined;
    if (text !== "") text += ".";
    for (let i = position + 1; i <= position + length; i++) text += escapeByte(bytes[i]!);
    position += 1 + length;
    labels += 1;
  }
  return undefined;
}

function escapeByte(byte: number): string {
  if (byte >= 0x41 && byte <= 0x5a) return String.fromCharCode(byte + 32);
  const isPlain = (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x5f;
  return isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
}

/** A name as it stands in a message, without compression; undefined when it is none. */
export function encodeName(name: string): Uint8Array | undefined {
  const out: number[] = [];
  for (const label of name === "" ? [] : name.split(".")) {
    const lengthAt = out.length;
    out.push(0);
    for (let i = 0; i < label.length; i++) {
      const code = label.charCodeAt(i);
      if (code === 0x5c) {
        const digits = label.slice(i + 1, i + 4);
        if (!/^[0-9]{3}$/.test(digits) || Number(digits) > 255) return undefined;
        out.push(Number(digits));
        i += 3;
      } else if (code > 0x7f) {
        return undefined;
      } else {
        out.push(code);
      }
    }
    const length = out.length - lengthAt - 1;
    if (length === 0 || length > MAX_LABEL_BYTES) return undefined;
    out[lengthAt] = length;
  }
  out.push(0);
  return out.length <= MAX_NAME_BYTES ? Uint8Array.from(out) : undefined;
}
