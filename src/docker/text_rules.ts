/**
 * What outside text may hold before it becomes part of a file, a path or an argument.
 *
 * @module
 */
import { flagError } from "./flag_error.ts";

/** No flag's value is longer; one word of a command line cannot be (MAX_ARG_STRLEN, execve(2)). */
export const MAX_TEXT = 131_071;

/** Refuses C0, DEL and C1 controls, newline and NUL among them: for what becomes a line of a file. */
export function checkNoControls(flag: string, text: string, what = "it"): void {
  if (/[\x00-\x1f\x7f-\x9f]/.test(text)) throw flagError(flag, text, `${what} has a control character`);
}

/** Refuses NUL, which no path and no argument can hold. */
export function checkNoNul(flag: string, text: string, what = "it"): void {
  if (text.includes("\0")) throw flagError(flag, text, `${what} has a NUL byte`);
}

/** Splits at the first mark; the rest is `undefined` when there is none. */
export function splitOnce(text: string, mark: string): [before: string, after: string | undefined] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + mark.length)];
}

/** A whole number in decimal digits within bounds; anything else is `undefined`. */
export function parseInteger(text: string, least: number, most: number): number | undefined {
  if (!/^-?[0-9]{1,16}$/.test(text)) return undefined;
  const number = Number(text);
  return number >= least && number <= most ? number : undefined;
}

/**
 * A path in the container: absolute, cleaned of `.`, `..` and double slashes by its text, as Docker does. The kernel
 * resolves it within the root later.
 * @returns `undefined` when it is not absolute, or holds NUL.
 */
export function cleanPath(path: string): string | undefined {
  if (!path.startsWith("/") || path.includes("\0") || path.length > 4095) return undefined;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** A name of a container or volume: a letter or digit, then also `_`, `.` and `-`; two characters at least. */
export function isObjectName(text: string): boolean {
  return text.length <= 255 && /^[A-Za-z0-9][A-Za-z0-9_.-]+$/.test(text);
}

/** What may stand for a container: a name, an id, or the beginning of one. */
export function isContainerReference(text: string): boolean {
  return text.length <= 255 && /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text);
}
