import { Buffer } from "node:buffer";
import { asBuffer, type ByteString, fromBytes } from "./bytes.ts";

/** A record of an extended header. Values are bytes: attributes may hold anything. */
export type PaxRecord = { readonly key: ByteString; readonly value: Uint8Array };

/**
 * Reads the records `LENGTH key=value\n` of an extended header (pax(1), "pax Extended Header"). The length counts itself.
 * @returns The records in order, or words that say what is wrong.
 */
export function decodePax(bytes: Uint8Array): PaxRecord[] | string {
  const records: PaxRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    let length = 0;
    let digit = at;
    while (digit < bytes.length && digit - at < 8 && bytes[digit]! >= 0x30 && bytes[digit]! <= 0x39) {
      length = length * 10 + bytes[digit]! - 0x30;
      digit++;
    }
    if (digit === at || bytes[digit] !== 0x20) return "a record of the extended header has no length";
    const end = at + length;
    // The shortest record has its length, a blank, one byte of key, `=` and the newline: so `at` always advances.
    if (end > bytes.length || end < digit + 4) return "the length of a record of the extended header is wrong";
    if (bytes[end - 1] !== 0x0a) return "a record of the extended header does not end where it says";
    const equals = bytes.indexOf(0x3d, digit + 1);
    if (equals <= digit + 1 || equals >= end) return "a record of the extended header has no key";
    const key = fromBytes(bytes, digit + 1, equals);
    if (key.includes("\0")) return "a key of the extended header holds a NUL byte";
    records.push({ key, value: bytes.subarray(equals + 1, end - 1) });
    at = end;
  }
  return records;
}

/** Writes records, in the order given. */
export function encodePax(records: readonly PaxRecord[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (const { key, value } of records) {
    const rest = key.length + value.length + 3; // blank, `=`, newline
    let length = rest + String(rest).length;
    length = rest + String(length).length; // one digit more may need one digit more
    const part = new Uint8Array(length);
    const head = `${length} ${key}=`;
    asBuffer(part).write(head, 0, "latin1");
    part.set(value, head.length);
    part[length - 1] = 0x0a;
    parts.push(part);
    total += length;
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Undoes the `%41` coding of attribute names in LIBARCHIVE.xattr.* (libarchive's tar(5)); undefined if it is wrong. */
export function decodePercent(text: ByteString): ByteString | undefined {
  let bad = false;
  const plain = text.replace(/%(..?)?/gs, (_whole, hex: string | undefined) => {
    if (hex === undefined || !/^[0-9a-fA-F]{2}$/.test(hex)) {
      bad = true;
      return "";
    }
    return String.fromCharCode(parseInt(hex, 16));
  });
  return bad ? undefined : plain as ByteString;
}

/** Undoes base64, padding optional as libarchive leaves it off; undefined if it holds anything else. */
export function decodeBase64(bytes: Uint8Array): Uint8Array | undefined {
  const text = fromBytes(bytes);
  const digits = text.replace(/={1,2}$/, "");
  if (!/^[A-Za-z0-9+/]*$/.test(digits) || digits.length % 4 === 1) return undefined;
  return Buffer.from(digits, "base64");
}
