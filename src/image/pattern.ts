/**
 * Shell patterns as Go's `path.Match` has them, which Docker uses for `--filter reference=`.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** One step of a pattern: any run without slashes, or one character of a set. */
type Token = { kind: "run" } | { kind: "one"; accepts: (char: string) => boolean };

const PATTERN_MAX = 1000;

/**
 * Reads a pattern: `*` is any run of characters but `/`, `?` one of them, `[a-z]` and `[^a-z]` a set, `\` takes the next
 * one as it is. The time to match is linear in pattern × text, whatever stands in them.
 * @returns Whether a text matches as a whole.
 * @throws {DugoutError} FILTER_INVALID
 */
export function compilePattern(pattern: string): (text: string) => boolean {
  const tokens = readTokens(pattern);
  return (text) => matches(tokens, [...text]);
}

function readTokens(pattern: string): Token[] {
  if (pattern.length > PATTERN_MAX) throw badPattern(pattern, `it is longer than ${PATTERN_MAX} characters`);
  const chars = [...pattern];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    if (char === "*") {
      if (tokens.at(-1)?.kind !== "run") tokens.push({ kind: "run" });
    } else if (char === "?") tokens.push({ kind: "one", accepts: (other) => other !== "/" });
    else if (char === "[") {
      const set = readSet(pattern, chars, at + 1);
      tokens.push({ kind: "one", accepts: set.accepts });
      at = set.end;
    } else {
      if (char === "\\" && ++at === chars.length) throw badPattern(pattern, "it ends with a backslash");
      const wanted = chars[at]!;
      tokens.push({ kind: "one", accepts: (other) => other === wanted });
    }
  }
  return tokens;
}

function readSet(
  pattern: string,
  chars: readonly string[],
  start: number,
): { accepts: (char: string) => boolean; end: number } {
  let at = start;
  const isNegated = chars[at] === "^";
  if (isNegated) at++;
  const ranges: [number, number][] = [];
  const readChar = (): number => {
    if (chars[at] === "\\") at++;
    const char = chars[at++];
    if (char === undefined) throw badPattern(pattern, "a set is not closed");
    return char.codePointAt(0)!;
  };
  do {
    if (chars[at] === "-" || chars[at] === "]") throw badPattern(pattern, "a set is empty or begins with a dash");
    const low = readChar();
    let high = low;
    if (chars[at] === "-") {
      at++;
      if (chars[at] === "]") throw badPattern(pattern, "a range has no end");
      high = readChar();
    }
    ranges.push([low, high]);
  } while (chars[at] !== "]" && at < chars.length);
  if (at >= chars.length) throw badPattern(pattern, "a set is not closed");
  const accepts = (char: string) => {
    const code = char.codePointAt(0)!;
    return char !== "/" && ranges.some(([low, high]) => code >= low && code <= high) !== isNegated;
  };
  return { accepts, end: at };
}

/** Takes the shortest run first, and on a mismatch lengthens the last run only: an earlier one never needs to change. */
function matches(tokens: readonly Token[], text: readonly string[]): boolean {
  let token = 0;
  let at = 0;
  let runToken = -1;
  let runEnd = 0;
  while (at < text.length) {
    const next = tokens[token];
    if (next?.kind === "run") {
      runToken = token++;
      runEnd = at;
    } else if (next !== undefined && next.accepts(text[at]!)) {
      token++;
      at++;
    } else if (runToken >= 0 && text[runEnd] !== "/") {
      at = ++runEnd;
      token = runToken + 1;
    } else return false;
  }
  while (tokens[token]?.kind === "run") token++;
  return token === tokens.length;
}

function badPattern(pattern: string, why: string): DugoutError {
  return new DugoutError("FILTER_INVALID", `Cannot use the pattern ${quote(pattern)}: ${why}`, { exitCode: 1 });
}
