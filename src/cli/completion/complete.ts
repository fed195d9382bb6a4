import { escapeText } from "#oci/text.ts";
import { COMMANDS } from "../declare/commands.ts";
import type { ValueKind } from "../declare/values.ts";
import { printOut } from "../output.ts";
import { listNamesOf, type NamePlaces } from "./names.ts";
import { planCompletion, type Suggestion } from "./plan.ts";

/**
 * `dugout __complete WORD…`: what the scripts of completion/scripts.ts call at each Tab. A line for each word that may stand
 * in the place of the last one, with its meaning behind a tab; `:files` or `:directories` where the shell knows better.
 * @returns 0.
 */
export function runComplete(words: readonly string[]): number {
  const { words: known, kinds, typed, before } = planCompletion(COMMANDS, words);
  const places: NamePlaces = { root: findValue(words, "--root"), run: findValue(words, "--run") };
  const found = [...known, ...kinds.flatMap((kind) => lookUpKind(kind, places))]
    .filter(([word]) => word.startsWith(typed))
    .map(([word, meaning]) => `${before}${escapeText(word)}\t${escapeText(meaning)}`.trimEnd());
  const asked = kinds.flatMap((kind) => kind === "files" || kind === "directories" ? [`:${kind}`] : []);
  printOut([...found, ...asked].map((line) => `${line}\n`).join(""));
  return 0;
}

function lookUpKind(kind: ValueKind, places: NamePlaces): Suggestion[] {
  if (kind === "files" || kind === "directories") return [];
  if (typeof kind !== "string") return kind.map((word): Suggestion => [word, ""]);
  const meaning = kind === "running containers" ? "container" : kind.slice(0, -1);
  return listNamesOf(kind, places).map((name): Suggestion => [name, meaning]);
}

/** A global option's value; the last one counts. */
function findValue(words: readonly string[], flag: string): string | undefined {
  const at = words.lastIndexOf(flag);
  if (at >= 0 && at + 1 < words.length - 1) return words[at + 1];
  return words.findLast((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1);
}
