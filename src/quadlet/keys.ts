/**
 * What a section's keys become: flags of a command of ours. A key that is not in its table is an error, so that no wish
 * is dropped in silence; one that names a flag which cannot be had is refused with the flag's own reason.
 *
 * @module
 */
import { parseBoolean } from "#docker/boolean.ts";
import { quadletError } from "./error.ts";
import { type Entry, lastEntry, listEntries, type UnitFile } from "./unit_file.ts";
import { splitBlanks, splitWords } from "./words.ts";

export type KeyRule =
  /** The last value is the flag's. */
  | { readonly kind: "value"; readonly flag: string }
  /** Each value is one of the flag's. */
  | { readonly kind: "list"; readonly flag: string }
  /** Each value is a list of them, parted by blanks. */
  | { readonly kind: "names"; readonly flag: string }
  /** The same, with quotes: `Environment="A=b c" D=e`. */
  | { readonly kind: "words"; readonly flag: string }
  | { readonly kind: "switch"; readonly flag: string }
  /** Read by the code of its section. */
  | { readonly kind: "own" }
  | { readonly kind: "refused"; readonly why: string };

export type KeyTable = ReadonlyMap<string, KeyRule>;

export const value = (flag: string): KeyRule => ({ kind: "value", flag });
export const list = (flag: string): KeyRule => ({ kind: "list", flag });
export const names = (flag: string): KeyRule => ({ kind: "names", flag });
export const words = (flag: string): KeyRule => ({ kind: "words", flag });
export const onOff = (flag: string): KeyRule => ({ kind: "switch", flag });
export const own = (): KeyRule => ({ kind: "own" });
export const refused = (why: string): KeyRule => ({ kind: "refused", why });

/** A flag with its value, and the line that asked for it. */
export interface Flag {
  readonly name: string;
  readonly value: string;
  readonly entry: Entry;
}

/**
 * The flags of a section, in the table's order.
 * @throws {DugoutError} QUADLET_INVALID: a key that nobody knows, that is refused, or whose value cannot be read.
 */
export function readFlags(section: string, entries: readonly Entry[], table: KeyTable): Flag[] {
  for (const entry of entries) {
    const rule = table.get(entry.key);
    if (rule === undefined) throw entryError(entry, `there is no key "${entry.key}" in [${section}]`);
    if (rule.kind === "refused") throw entryError(entry, `${entry.key}= cannot be had: ${rule.why}`);
  }
  const flags: Flag[] = [];
  for (const [key, rule] of table) {
    if (!("flag" in rule)) continue;
    const add = (entry: Entry, text: string) => void flags.push({ name: rule.flag, value: text, entry });
    switch (rule.kind) {
      case "value": {
        const entry = lastEntry(entries, key);
        if (entry !== undefined && entry.value !== "") add(entry, unquote(entry.value));
        break;
      }
      case "list":
        for (const entry of listEntries(entries, key)) add(entry, unquote(entry.value));
        break;
      case "names":
        for (const entry of listEntries(entries, key)) for (const word of splitBlanks(entry.value)) add(entry, word);
        break;
      case "words":
        for (const entry of listEntries(entries, key)) for (const word of readWords(entry)) add(entry, word);
        break;
      case "switch": {
        const on = readSwitch(entries, key);
        if (on !== undefined) add(lastEntry(entries, key)!, String(on));
        break;
      }
      default:
        throw new Error(`Unknown rule ${rule satisfies never}`);
    }
  }
  return flags;
}

/** An error at the line of an entry. */
export function entryError(entry: Entry, why: string, hint?: string): Error {
  return quadletError(entry.path, entry.line === 0 ? undefined : entry.line, why, hint);
}

/** The last value of a key; undefined where there is none, or an empty one. */
export function readValue(entries: readonly Entry[], key: string): string | undefined {
  const found = lastEntry(entries, key)?.value;
  return found === undefined || found === "" ? undefined : unquote(found);
}

/** A yes or no, in systemd's words. */
export function readSwitch(entries: readonly Entry[], key: string): boolean | undefined {
  const entry = lastEntry(entries, key);
  if (entry === undefined || entry.value === "") return undefined;
  const text = entry.value.toLowerCase();
  if (text === "yes" || text === "on" || text === "y") return true;
  if (text === "no" || text === "off" || text === "n") return false;
  const on = parseBoolean(text);
  if (on === undefined) throw entryError(entry, `${key}= is true or false, not "${entry.value}"`);
  return on;
}

/** The words of a value. */
export function readWords(entry: Entry): string[] {
  const found = splitWords(entry.value);
  if (found === undefined) {
    throw entryError(entry, `${entry.key}= has a quote that is not closed, or an invalid escape`);
  }
  return found;
}

/** The words of all values of a key. */
export function readAllWords(entries: readonly Entry[], key: string): string[] {
  return listEntries(entries, key).flatMap(readWords);
}

/** A value that stands in quotes as a whole stands for what is in them. */
function unquote(text: string): string {
  if (!/^(["']).*\1$/.test(text) || text.length < 2) return text;
  const found = splitWords(text);
  return found?.length === 1 ? found[0] ?? text : text;
}

/** A unit's own `[Quadlet]` section, in which nothing of ours can be chosen yet. */
export function checkQuadletSection(unit: UnitFile): void {
  for (const entry of unit.get("Quadlet") ?? []) {
    if (entry.key !== "DefaultDependencies") throw entryError(entry, `there is no key "${entry.key}" in [Quadlet]`);
    // nothing is added to Wants= and After= that this could take back: a user's unit cannot wait for the machine's network
    readSwitch([entry], entry.key);
  }
}
