/** Powers of 1024, as Docker counts: `k` is 1024 bytes. */
const UNITS = "bkmgtp";

/**
 * A size as Docker's flags take it: `67108864`, `64m`, `1.5g`, `64MB`, `64MiB`, `64 m`. All units are powers of 1024.
 * @returns Whole bytes, rounded down; `undefined` when it is none, or beyond 2^53.
 */
export function parseSize(text: string): number | undefined {
  const match = /^([0-9]{1,19}(?:\.[0-9]{1,19})?) ?([bkmgtp]?)(i?b?)$/.exec(text.toLowerCase());
  if (match === null) return undefined;
  const [, digits = "", unit = "", rest = ""] = match;
  // "i" needs a unit before it; "bb" is none
  if (unit === "" && rest.startsWith("i") || unit === "b" && rest !== "") return undefined;
  const bytes = Math.floor(Number(digits) * 1024 ** UNITS.indexOf(unit === "" ? "b" : unit));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
