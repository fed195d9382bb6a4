/**
 * Points in time as Docker's filters take them.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const TEXT_MAX = 64;
const STEP = /([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/g;
const UNIX = /^[0-9]{1,12}(?:\.[0-9]{1,9})?$/;
const DATE =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)?(Z|[+-][0-9]{2}:[0-9]{2})?$/;

/**
 * Reads `24h30m` (so long before now), `1700000000` (seconds since 1970) or `2026-01-02T03:04:05Z`; a date without a
 * zone is local.
 * @returns Milliseconds since 1970.
 * @throws {DugoutError} TIME_INVALID
 */
export function parsePointInTime(text: string, nowMs: number): number {
  if (text.length <= TEXT_MAX) {
    const ms = readDuration(text);
    if (ms !== undefined) return nowMs - ms;
    if (UNIX.test(text)) return Number(text) * 1000;
    const match = DATE.exec(text);
    if (match !== null) {
      // a bare date is UTC to Date.parse, and local to Docker
      const ms = Date.parse(!text.includes("T") ? text.slice(0, 10) + "T00:00" + (match[1] ?? "") : text);
      if (!Number.isNaN(ms)) return ms;
    }
  }
  throw new DugoutError(
    "TIME_INVALID",
    `Cannot read ${quote(text)} as a time: neither 24h, nor seconds since 1970, nor 2026-01-02T03:04:05Z`,
    {
      exitCode: 1,
    },
  );
}

/** Milliseconds of `24h30m`; undefined where the text is not steps from its begin to its end. */
function readDuration(text: string): number | undefined {
  let ms = 0;
  let length = 0;
  for (const [step, number, unit] of text.matchAll(STEP)) {
    ms += Number(number) * UNIT_MS[unit!]!;
    length += step.length;
  }
  return length > 0 && length === text.length ? ms : undefined;
}
