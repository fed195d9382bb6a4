import { DugoutError } from "#oci/error.ts";
import { escapeText, quote } from "#oci/text.ts";

/**
 * A value that a flag, or the field that means the same, cannot take.
 * @param flag As users know it: `--volume`.
 * @param why What is wrong, in words that fit behind a colon; parts of the value in it are made safe here.
 */
export function flagError(flag: string, value: string, why: string, hint?: string): DugoutError {
  return new DugoutError("FLAG_INVALID", `Cannot use ${quote(value)} for ${flag}: ${escapeText(why)}`, { hint });
}

/** Two flags that cannot both be given, or one that needs another. */
export function flagConflict(message: string, hint?: string): DugoutError {
  return new DugoutError("FLAG_CONFLICT", message, { hint });
}
