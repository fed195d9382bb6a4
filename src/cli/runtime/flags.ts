/**
 * Flags as runc's command line takes them, which Go's library `flag` reads: `--name value`, `--name=value`, and both with one
 * dash; a switch takes a value by `=` alone. Docker's own flags are read elsewhere (../scan.ts): the two differ.
 *
 * @module
 */
import { parseBoolean } from "#docker/boolean.ts";
import { usageError } from "../usage_error.ts";

/** A flag. */
export interface FlagDeclaration {
  /** The long name first: `["bundle", "b"]`. */
  readonly names: readonly string[];
  /** A switch, a value, or values as often as it is given. */
  readonly kind: "switch" | "value" | "list";
  readonly summary: string;
  /** What holds without it, for the help. */
  readonly default?: string;
}

/** Flags that were given, by their long names. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** Whether a switch is on. */
  has(name: string): boolean {
    return this.#values.get(name)?.at(-1) === "true";
  }

  /** The last value of a flag. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.at(-1);
  }

  /** All values of a flag. */
  list(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A whole number from 0. @throws {DugoutError} USAGE. */
  count(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^[0-9]{1,9}$/.test(text)) return Number(text);
    throw invalid(text, name, "a whole number is wanted");
  }
}

/**
 * Reads flags.
 * @param stopsAtFirst Whether the first argument ends the flags: what follows is a program's.
 * @throws {DugoutError} USAGE, with Go's words.
 */
export function readFlags(
  declared: readonly FlagDeclaration[],
  argv: readonly string[],
  stopsAtFirst: boolean,
): { flags: Flags; args: string[] } {
  const values = new Map<string, string[]>();
  const args: string[] = [];
  let at = 0;
  while (at < argv.length) {
    const word = argv[at++]!;
    if (word === "--") {
      args.push(...argv.slice(at));
      break;
    }
    if (word.length < 2 || word[0] !== "-") {
      args.push(word);
      if (!stopsAtFirst) continue;
      args.push(...argv.slice(at));
      break;
    }
    const bare = word.slice(word[1] === "-" ? 2 : 1);
    const equals = bare.indexOf("=");
    const name = equals < 0 ? bare : bare.slice(0, equals);
    const flag = declared.find(({ names }) => names.includes(name));
    if (flag === undefined) throw usageError(`flag provided but not defined: -${name}`, 1, "");
    const key = flag.names[0]!;
    let value: string;
    if (flag.kind === "switch") {
      const on = equals < 0 ? true : parseBoolean(bare.slice(equals + 1));
      if (on === undefined) throw invalid(bare.slice(equals + 1), name, "a switch takes true or false");
      value = String(on);
    } else if (equals >= 0) value = bare.slice(equals + 1);
    else if (at < argv.length) value = argv[at++]!;
    else throw usageError(`flag needs an argument: -${name}`, 1, "");
    values.set(key, [...values.get(key) ?? [], value]);
  }
  return { flags: new Flags(values), args };
}

function invalid(value: string, name: string, why: string): Error {
  return usageError(`invalid value ${JSON.stringify(value)} for flag -${name}: ${why}`, 1, "");
}
