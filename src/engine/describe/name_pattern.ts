/**
 * Patterns for names and ids in filters. Docker takes regular expressions there; of those this is what people use, matched
 * without going back and forth: `^` and `$` at the ends, `.`, `.*`, and `|` between alternatives.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** What is left of an alternative between its ends: runs of characters (`.` is any one) with anything between them. */
interface Alternative {
  readonly fromStart: boolean;
  readonly toEnd: boolean;
  readonly runs: readonly string[];
}

/** Stands for any character in a run: no name has it. */
const ANY = "\0";

/**
 * Reads a pattern.
 * @returns Whether a text has it.
 * @throws {DugoutError} FILTER_INVALID for other marks of regular expressions.
 */
export function compileNamePattern(pattern: string): (text: string) => boolean {
  const alternatives = pattern.split("|").map((part) => readAlternative(part, pattern));
  return (text) => alternatives.some((alternative) => fits(alternative, text));
}

function readAlternative(part: string, whole: string): Alternative {
  const fromStart = part.startsWith("^");
  const toEnd = part.endsWith("$");
  const middle = part.slice(fromStart ? 1 : 0, toEnd ? -1 : undefined);
  if (/[\\[\](){}?+^$\0]|(?<!\.)\*/.test(middle)) {
    throw new DugoutError(
      "FILTER_INVALID",
      `Cannot use the pattern ${quote(whole)}: it may have ^ and $ at its ends, ., .* and |`,
      { exitCode: 1 },
    );
  }
  return { fromStart, toEnd, runs: middle.split(".*").map((run) => run.replaceAll(".", ANY)) };
}

function fits({ fromStart, toEnd, runs }: Alternative, text: string): boolean {
  let at = 0;
  for (const [index, run] of runs.entries()) {
    const isLast = index === runs.length - 1;
    if (index === 0 && fromStart) {
      if (!isAt(text, run, 0) || (isLast && toEnd && run.length !== text.length)) return false;
      at = run.length;
    } else if (isLast && toEnd) {
      const start = text.length - run.length;
      return start >= at && isAt(text, run, start);
    } else {
      // the first place is as good as any later one
      while (at + run.length <= text.length && !isAt(text, run, at)) at++;
      if (at + run.length > text.length) return false;
      at += run.length;
    }
  }
  return true;
}

function isAt(text: string, run: string, start: number): boolean {
  if (start + run.length > text.length) return false;
  for (let i = 0; i < run.length; i++) if (run[i] !== ANY && run[i] !== text[start + i]) return false;
  return true;
}
