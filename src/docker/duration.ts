/** Nanoseconds of each unit of Go's time.ParseDuration; µ has two code points. */
const UNIT_NS: ReadonlyMap<string, number> = new Map([
  ["ns", 1],
  ["us", 1e3],
  ["\u00b5s", 1e3],
  ["\u03bcs", 1e3],
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3600e9],
]);

/**
 * A duration as Docker's flags take it: `90s`, `1h2m3.5s`, `300ms`; `0` alone needs no unit. None is negative.
 * @returns Nanoseconds, rounded; `undefined` when it is none, or beyond 2^53 (104 days).
 */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length > 100) return undefined;
  let total = 0;
  let rest = text;
  while (rest !== "") {
    const match = /^([0-9]{0,19}(?:\.[0-9]{0,19})?)([a-z\u00b5\u03bc]{1,2})(?![a-z\u00b5\u03bc])/.exec(rest);
    const number = match?.[1] ?? "";
    const unit = UNIT_NS.get(match?.[2] ?? "");
    if (match === null || unit === undefined || number === "" || number === ".") return undefined;
    total += Number(number) * unit;
    rest = rest.slice(match[0].length);
  }
  const ns = Math.round(total);
  return text !== "" && Number.isSafeInteger(ns) ? ns : undefined;
}
