/**
 * What may stand where a command line ends: worked out from the declarations, without looking at anything else.
 *
 * @module
 */
import { GLOBAL_OPTIONS, GROUPS } from "../declare/global.ts";
import type { CommandDeclaration, OptionDeclaration } from "../declare/types.ts";
import { argumentKinds, FILTER_WORDS, FLAG_VALUES, type ValueKind } from "../declare/values.ts";

/** A word, and what it means. */
export type Suggestion = readonly [word: string, meaning: string];

/** What is wanted of whoever completes. */
export interface CompletionPlan {
  /** Words that are known already, whatever they begin with. */
  readonly words: readonly Suggestion[];
  /** What has to be looked up. */
  readonly kinds: readonly ValueKind[];
  /** What was typed of it. */
  readonly typed: string;
  /** What stands before it in the same word, such as `--env-file=`. */
  readonly before: string;
}

/** A command line as far as it is typed. */
interface State {
  options: readonly OptionDeclaration[];
  command: CommandDeclaration | undefined;
  /** The flag whose value comes next. */
  pending: OptionDeclaration | undefined;
  /** Words of a command's name. */
  path: string[];
  argumentCount: number;
  takesFlags: boolean;
}

/**
 * Plans the completion of the last word.
 * @param words What stands behind the program's name; the last one is being typed, and may be empty.
 */
export function planCompletion(commands: readonly CommandDeclaration[], words: readonly string[]): CompletionPlan {
  const state: State = {
    options: GLOBAL_OPTIONS,
    command: undefined,
    pending: undefined,
    path: [],
    argumentCount: 0,
    takesFlags: true,
  };
  for (const word of words.slice(0, -1)) takeWord(state, commands, word);
  return planWord(state, commands, words.at(-1) ?? "");
}

function takeWord(state: State, commands: readonly CommandDeclaration[], word: string): void {
  if (state.pending !== undefined) {
    state.pending = undefined;
  } else if (state.takesFlags && word === "--") {
    state.takesFlags = false;
  } else if (state.takesFlags && word.length > 1 && word.startsWith("-")) {
    state.pending = word.includes("=") ? undefined : findPending(state.options, word);
  } else if (state.command === undefined) {
    state.path.push(word);
    state.command = commands.find(({ names }) => names.includes(state.path.join(" ")));
    if (state.command !== undefined) state.options = state.command.options;
  } else {
    state.argumentCount++;
    if (state.command.stopsAtFirstArgument === true) state.takesFlags = false;
  }
}

/** The flag that takes the next word: a long one, or the last of several letters. */
function findPending(options: readonly OptionDeclaration[], word: string): OptionDeclaration | undefined {
  if (word.startsWith("--")) {
    const found = findFlag(options, word);
    return found?.value === undefined ? undefined : found;
  }
  for (let i = 1; i < word.length; i++) {
    const found = findFlag(options, `-${word[i]}`);
    // what stands behind its letter is its value
    if (found?.value !== undefined) return i === word.length - 1 ? found : undefined;
  }
  return undefined;
}

function findFlag(options: readonly OptionDeclaration[], flag: string): OptionDeclaration | undefined {
  return options.find(({ flags }) => flags.split(", ").includes(flag));
}

function planWord(state: State, commands: readonly CommandDeclaration[], typed: string): CompletionPlan {
  const { command, options, pending } = state;
  const plan = { words: [], kinds: [], typed, before: "" };
  if (pending !== undefined) return { ...plan, kinds: valueKinds(pending, command) };
  if (state.takesFlags && typed.startsWith("--") && typed.includes("=")) {
    const equals = typed.indexOf("=");
    const option = findFlag(options, typed.slice(0, equals));
    const kinds = option === undefined ? [] : valueKinds(option, command);
    return { ...plan, kinds, typed: typed.slice(equals + 1), before: typed.slice(0, equals + 1) };
  }
  if (state.takesFlags && typed.startsWith("-")) return { ...plan, words: describeFlags(options) };
  if (command !== undefined) {
    return { ...plan, kinds: argumentKinds(command.names[0] ?? "", command.usage, state.argumentCount) };
  }
  return { ...plan, words: describeCommands(commands, state.path) };
}

function valueKinds(option: OptionDeclaration, command: CommandDeclaration | undefined): readonly ValueKind[] {
  if (option.value === undefined) return [["true", "false"]];
  const name = longName(option);
  if (name === "filter") return [FILTER_WORDS.get(command?.names[0] ?? "") ?? []];
  return FLAG_VALUES.get(name) ?? [];
}

function longName({ flags }: OptionDeclaration): string {
  return flags.split(", ").find((flag) => flag.startsWith("--"))?.slice(2) ?? "";
}

function describeFlags(options: readonly OptionDeclaration[]): Suggestion[] {
  const shown = options.filter(({ hidden }) => hidden !== true);
  return [
    ...shown.flatMap(({ flags, summary }) => flags.split(", ").map((flag): Suggestion => [flag, summary])),
    ["--help", "what the command does, and its flags"],
  ];
}

/** The next words of commands whose names begin so. */
function describeCommands(commands: readonly CommandDeclaration[], path: readonly string[]): Suggestion[] {
  const found = new Map<string, string>();
  if (path.length === 0) { for (const { name, summary } of GROUPS) found.set(name, summary); }
  for (const { names, summary } of commands) {
    for (const name of names) {
      const words = name.split(" ");
      if (words.length !== path.length + 1 || !path.every((word, i) => words[i] === word)) continue;
      found.set(words.at(-1)!, summary);
    }
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1);
}
