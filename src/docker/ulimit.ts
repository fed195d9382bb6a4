/**
 * `--ulimit`: `NAME=SOFT[:HARD]`; -1 is none.
 *
 * @module
 */
import { parseRlimitName, RLIM_INFINITY, RLIMIT_NAMES } from "#linux/rlimits.ts";
import { flagError } from "./flag_error.ts";
import type { UlimitRequest } from "./run_request.ts";
import { splitOnce } from "./text_rules.ts";

const FLAG = "--ulimit";

/** Reads one limit. Whether the caller may have it is the engine's to see (C-065). */
export function parseUlimit(text: string): UlimitRequest {
  const [nameText, values] = splitOnce(text, "=");
  const name = parseRlimitName(nameText);
  if (name === undefined) {
    throw flagError(
      FLAG,
      text,
      `there is no limit "${nameText.slice(0, 100)}"`,
      `Limits are ${RLIMIT_NAMES.join(", ")}`,
    );
  }
  const [softText = "", hardText, more] = values?.split(":", 3) ?? [];
  const soft = parseLimit(softText);
  const hard = hardText === undefined ? soft : parseLimit(hardText);
  if (soft === undefined || hard === undefined || more !== undefined) {
    throw flagError(FLAG, text, "the value is SOFT or SOFT:HARD, numbers or -1", "For example nofile=1024:4096");
  }
  if (soft > hard) throw flagError(FLAG, text, "the soft limit is above the hard one");
  return { name, soft, hard };
}

function parseLimit(text: string): bigint | undefined {
  if (text === "-1" || text === "unlimited") return RLIM_INFINITY;
  if (!/^[0-9]{1,20}$/.test(text)) return undefined;
  const limit = BigInt(text);
  return limit <= RLIM_INFINITY ? limit : undefined;
}
