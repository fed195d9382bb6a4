import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, tryCall } from "./call.ts";

/** Random bytes of the kernel's (getrandom(2)). node:crypto has them too, but takes milliseconds to load. */
export function randomBytes(count: number): Uint8Array {
  const bytes = allocate(count);
  expectResult(tryCall("getrandom", addressOf(bytes), count, 0), "getrandom", `${count} bytes`);
  return bytes;
}

const DIGITS = "0123456789abcdef";

/** So many random bytes as lower-case hexadecimal digits, two a byte: for names. */
export function randomHex(count: number): string {
  let text = "";
  for (const byte of randomBytes(count)) text += DIGITS[byte >> 4]! + DIGITS[byte & 15]!;
  return text;
}
