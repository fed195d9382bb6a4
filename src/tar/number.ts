import { BLOCK, type Field } from "./layout.ts";

/** Largest user or group id: 2^32−1 is "no change" to chown(2). */
export const MAX_ID = 0xffff_fffe;

/**
 * Reads a number field: octal digits (blanks before and after, ends at NUL), or GNU's base-256, whose first byte is 0x80
 * (positive) or 0xff (negative). An empty field is 0, as every reader has it.
 * @returns NaN for anything else, for what readers disagree about (`12 34`) and outside ±(2^53−1).
 */
export function readNumber(block: Uint8Array, at: number, field: Field): number {
  const first = block[at + field[0]]!;
  return first >= 0x80 ? readBase256(block, at + field[0], field[1]) : readOctal(block, at + field[0], field[1]);
}

function readOctal(block: Uint8Array, start: number, length: number): number {
  let at = start;
  const end = start + length;
  // One NUL in front: left by old tars when the field before was full; GNU tar reads over it too.
  if (block[at] === 0) at++;
  while (at < end && block[at] === 0x20) at++;
  let value = 0;
  while (at < end) {
    const digit = block[at]! - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit; // exact: 12 digits are 36 bits
    at++;
  }
  while (at < end && block[at] === 0x20) at++;
  return at === end || block[at] === 0 ? value : NaN;
}

function readBase256(block: Uint8Array, start: number, length: number): number {
  const first = block[start]!;
  const negative = (first & 0x40) !== 0; // two's complement, its sign the bit behind the mark
  let value = BigInt(first & 0x3f);
  for (let i = 1; i < length; i++) value = (value << 8n) | BigInt(block[start + i]!);
  if (negative) value -= 1n << BigInt(8 * length - 2);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : NaN;
}

/**
 * Reads the decimal number of a pax record: digits only.
 * @returns NaN for anything else (signs, exponents, fractions, no digit) and above 2^53−1.
 */
export function readDecimal(text: string): number {
  if (!/^[0-9]{1,20}$/.test(text)) return NaN;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : NaN;
}

/**
 * Reads a time of a pax record: seconds with a sign and any number of digits behind the point, cut at nanoseconds and
 * rounded down, so that −0.5 is −1 and 500,000,000.
 * @returns undefined for anything else (exponents included), and for seconds outside ±(2^53−1).
 */
export function readTime(text: string): { seconds: number; nanoseconds: number } | undefined {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]{0,100}))?$/.exec(text);
  if (match === null) return undefined;
  let seconds = Number(match[2]);
  const digits = match[3] ?? "";
  let nanoseconds = Number(digits.slice(0, 9).padEnd(9, "0"));
  if (match[1] === "-") {
    const rest = /[1-9]/.test(digits.slice(9));
    seconds = seconds === 0 ? 0 : -seconds;
    if (rest) nanoseconds++;
    if (nanoseconds > 0) {
      seconds--;
      nanoseconds = 1_000_000_000 - nanoseconds;
    }
  }
  return Number.isSafeInteger(seconds) ? { seconds, nanoseconds } : undefined;
}

/** Spells a time for a pax record, the inverse of `readTime`. */
export function spellTime(seconds: number, nanoseconds: number): string {
  if (nanoseconds === 0) return String(seconds);
  const negative = seconds < 0;
  const whole = negative ? -seconds - 1 : seconds;
  const fraction = negative ? 1_000_000_000 - nanoseconds : nanoseconds;
  return `${negative ? "-" : ""}${whole}.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
}

/** Whether a number fits the octal field, which keeps one byte for the NUL at its end. */
export function fitsOctal(value: number, field: Field): boolean {
  return value >= 0 && value < 8 ** (field[1] - 1);
}

/** Writes a number that fits (see `fitsOctal`) with leading zeros and a NUL. */
export function writeOctal(block: Uint8Array, field: Field, value: number): void {
  const digits = value.toString(8).padStart(field[1] - 1, "0");
  for (let i = 0; i < digits.length; i++) block[field[0] + i] = digits.charCodeAt(i);
  block[field[0] + field[1] - 1] = 0;
}

/** How many zero bytes follow content of that size. */
export function paddingOf(sizeBytes: number): number {
  const over = sizeBytes % BLOCK;
  return over === 0 ? 0 : BLOCK - over;
}
