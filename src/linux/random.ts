import { addressOf, allocate } from "#ffi/mod.ts";
import { expectResult, tryCall } from "./call.ts";

/** Random bytes of the kernel's (getrandom(2)). node:crypto has them too, but takes milliseconds to load. */
export function randomBytes(count: number): Uint8Array {
  const bytes = allocate(count);
  expectResult(tryCall("getrandom", addressOf(bytes), count, 0), "getrandom", `${count} bytes`);
  return bytes;
}

/** So many random bytes as lower-case hexadecimal digits, two a byte: for names. */
export function randomHex(count: number): string {
  return Array.from(randomBytes(count), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
