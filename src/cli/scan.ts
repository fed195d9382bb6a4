import { parseBoolean } from "#docker/boolean.ts";
import type { OptionDeclaration } from "./declare/types.ts";
import { suggestWord } from "./suggest.ts";
import { usageError } from "./usage_error.ts";

/** Flags by their long name (`rm`, `env`): switches as booleans, values as text, repeatable ones as lists. */
export type Options = ReadonlyMap<string, boolean | string | readonly string[]>;

export interface Scanned {
  options: Options;
  /** What is no flag, in order. */
  operands: string[];
  /** `--help`, or `-h` where that letter is free. */
  wantsHelp: boolean;
}

export interface ScanRules {
  /** The first operand ends the flags; it and all behind it are operands. */
  stopsAtFirstOperand: boolean;
  /** For hints: `dugout run`. */
  program: string;
}

interface Known {
  name: string;
  label: string;
  option: OptionDeclaration;
}

/**
 * Reads flags as Docker's CLI does (its library is pflag): `--flag=value`, `--flag value`, `-it` combined, `-efoo`,
 * `-e=foo`, switches with `--rm=false`, `--` as the end of flags. A value may begin with a dash. One reader for all
 * commands, so that `run`, which does not load commander, cannot differ from the others.
 * @throws {DugoutError} USAGE, with docker's words and exit code 125.
 */
export function scanOptions(
  declared: readonly OptionDeclaration[],
  argv: readonly string[],
  rules: ScanRules,
): Scanned {
  const options = new Map<string, boolean | string | string[]>();
  const operands: string[] = [];
  let wantsHelp = false;
  let at = 0;

  const fail = (message: string, hint = `'${rules.program} --help' lists the flags`): Error =>
    usageError(message, 125, hint);

  const store = (known: Known, label: string, value: string): void => {
    if (known.option.value === undefined) {
      const on = parseBoolean(value);
      if (on === undefined) throw fail(describeInvalid(value, label, "a switch takes true or false"));
      options.set(known.name, on);
      return;
    }
    const complaint = checkValue(known.option, value);
    if (complaint !== undefined) throw fail(describeInvalid(value, label, complaint));
    if (!known.option.repeatable) {
      options.set(known.name, value);
      return;
    }
    const list = options.get(known.name);
    if (Array.isArray(list)) list.push(value);
    else options.set(known.name, [value]);
  };

  while (at < argv.length) {
    const word = argv[at++] ?? "";
    if (word === "--") {
      operands.push(...argv.slice(at));
      break;
    }
    if (word.length < 2 || word[0] !== "-") {
      operands.push(word);
      if (!rules.stopsAtFirstOperand) continue;
      operands.push(...argv.slice(at));
      break;
    }
    if (word[1] === "-") {
      const equals = word.indexOf("=");
      const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
      if (name === "" || name[0] === "-") throw fail(`bad flag syntax: ${word}`);
      const found = findLong(declared, name);
      if (found === undefined) {
        if (name === "help") {
          wantsHelp = true;
          continue;
        }
        throw fail(`unknown flag: --${name}`, suggestFlag(name, declared, rules));
      }
      if (equals >= 0) store(found, found.label, word.slice(equals + 1));
      else if (found.option.value === undefined) options.set(found.name, true);
      else if (at < argv.length) store(found, found.label, argv[at++] ?? "");
      else throw fail(`flag needs an argument: --${name}`);
      continue;
    }
    // Several letters: switches until one takes a value, which is the rest of the word or the next word.
    for (let i = 1; i < word.length; i++) {
      const letter = word[i] ?? "";
      const found = findShort(declared, letter);
      if (found === undefined) {
        if (letter === "h") {
          wantsHelp = true;
          continue;
        }
        throw fail(`unknown shorthand flag: '${letter}' in ${word}`);
      }
      if (word[i + 1] === "=") {
        store(found, found.label, word.slice(i + 2));
        break;
      }
      if (found.option.value === undefined) {
        options.set(found.name, true);
        continue;
      }
      if (i + 1 < word.length) store(found, found.label, word.slice(i + 1));
      else if (at < argv.length) store(found, found.label, argv[at++] ?? "");
      else throw fail(`flag needs an argument: '${letter}' in ${word}`);
      break;
    }
  }
  return { options, operands, wantsHelp };
}

/** The long name of a flag: `memory` of `-m, --memory`. */
export function longName(option: OptionDeclaration): string {
  return option.flags.slice(option.flags.indexOf("--") + 2);
}

/** The letter of a flag, if it has one: `m` of `-m, --memory`. */
export function shortName(option: OptionDeclaration): string | undefined {
  return option.flags[1] === "-" ? undefined : option.flags[1];
}

// By search, not by an index: a command line has a handful of flags.

function findLong(declared: readonly OptionDeclaration[], name: string): Known | undefined {
  const long = `--${name}`;
  const option = declared.find(({ flags }) => flags === long || (flags[1] !== "-" && flags.slice(4) === long));
  return option === undefined ? undefined : { name, label: option.flags, option };
}

function findShort(declared: readonly OptionDeclaration[], letter: string): Known | undefined {
  const option = declared.find(({ flags }) => flags[1] === letter && flags[0] === "-");
  return option === undefined || letter === "-" ? undefined : { name: longName(option), label: option.flags, option };
}

function checkValue(option: OptionDeclaration, value: string): string | undefined {
  switch (option.check) {
    case undefined:
      return undefined;
    case "int":
      return /^[+-]?[0-9]{1,19}$/.test(value) ? undefined : "a whole number is wanted";
    case "uint":
      return /^[0-9]{1,19}$/.test(value) ? undefined : "a whole number of zero or more is wanted";
    case "decimal":
      return /^[0-9]{0,12}(\.[0-9]{1,12})?$/.test(value) && value !== "" ? undefined : "a number such as 1.5 is wanted";
    default:
      throw new Error(`Unknown check ${option.check satisfies never}`);
  }
}

function describeInvalid(value: string, label: string, complaint: string): string {
  return `invalid argument "${value}" for "${label}" flag: ${complaint}`;
}

function suggestFlag(name: string, declared: readonly OptionDeclaration[], rules: ScanRules): string {
  const near = suggestWord(name, declared.map(longName));
  return near === undefined
    ? `'${rules.program} --help' lists the flags`
    : `did you mean --${near}? '${rules.program} --help' lists the flags`;
}
