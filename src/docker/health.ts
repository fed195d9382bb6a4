/**
 * `--health-*` and `--no-healthcheck`.
 *
 * @module
 */
import { parseDuration } from "./duration.ts";
import { flagError } from "./flag_error.ts";
import type { HealthAction } from "./run_request.ts";
import { parseInteger } from "./text_rules.ts";

/**
 * Reads a time of a health check: a millisecond at least, as in Docker; 0 leaves it to the image.
 * @returns Nanoseconds, or `undefined` for 0.
 */
export function parseHealthTime(flag: string, text: string): number | undefined {
  const ns = parseDuration(text);
  if (ns === undefined) throw flagError(flag, text, "it is no duration such as 30s or 1m30s");
  if (ns !== 0 && ns < 1e6) throw flagError(flag, text, "it is less than a millisecond");
  return ns === 0 ? undefined : ns;
}

/** Reads `--health-retries`; 0 leaves it to the image. */
export function parseHealthRetries(text: string): number | undefined {
  const retries = parseInteger(text, 0, 2 ** 31 - 1);
  if (retries === undefined) throw flagError("--health-retries", text, "it is a number from 0");
  return retries === 0 ? undefined : retries;
}

/** Reads `--health-on-failure`; undefined for `none`. */
export function parseHealthAction(text: string): HealthAction | undefined {
  switch (text) {
    case "none":
      return undefined;
    case "kill":
    case "restart":
    case "stop":
      return text;
    default:
      throw flagError("--health-on-failure", text, "it is none, kill, restart or stop");
  }
}
