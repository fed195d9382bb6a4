import { flagError } from "./flag_error.ts";

/**
 * Reads `--detach-keys`: keys with commas between them, each a letter, digit or sign, or `ctrl-` with one of
 * `a`–`z`, `@`, `[`, `\`, `]`, `^`, `_`.
 * @returns The bytes that a terminal sends for them; empty for an empty text, which turns it off.
 */
export function parseDetachKeys(text: string): number[] {
  const fail = (why: string) => flagError("--detach-keys", text, why, "For example ctrl-p,ctrl-q");
  if (text === "") return [];
  if (text.length > 1000) throw fail("it has more than 1000 characters");
  return text.split(",").map((key) => {
    if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
    const match = /^ctrl-([a-z@[\\\]^_])$/.exec(key.toLowerCase());
    if (match?.[1] === undefined) throw fail(`"${key.slice(0, 20)}" is no key`);
    return match[1].toUpperCase().charCodeAt(0) & 0x1f;
  });
}
