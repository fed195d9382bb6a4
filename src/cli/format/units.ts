import { formatGeneral } from "../template/decimal.ts";

const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/** A size in units of 1000, with so many significant digits: `116MB` with 3, `116.5MB` with 4. Docker's lists, and its rounding. */
export function humanSize(sizeBytes: number, digits = 4): string {
  return scaleSize(sizeBytes, 1000, DECIMAL, digits);
}

/** A size in units of 1024: `7.566GiB`. */
export function humanBinarySize(sizeBytes: number): string {
  return scaleSize(sizeBytes, 1024, BINARY, 4);
}

function scaleSize(sizeBytes: number, base: number, units: readonly string[], digits: number): string {
  let size = sizeBytes;
  let unit = 0;
  while (size >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  return formatGeneral(size, digits) + units[unit];
}

/** A span of time in words: "Less than a second", "About an hour", "3 weeks". Docker's words and rounding. */
export function humanDuration(spanMs: number): string {
  const seconds = Math.trunc(spanMs / 1000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(spanMs / 60_000);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(spanMs / 3_600_000 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(spanMs / 3_600_000 / 24 / 365)} years`;
}
