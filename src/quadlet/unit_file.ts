/**
 * Unit files as systemd reads them (systemd.syntax(7)): sections of `Key=value` lines, comments, lines that go on behind a
 * backslash. Values are kept as they stand: what quotes and specifiers mean in them is the business of who reads the key.
 *
 * @module
 */
import { quadletError } from "./error.ts";

/** The most bytes that a file may have; systemd's own limit of one line. */
export const MAX_UNIT_BYTES: number = 1024 * 1024;
const MAX_ENTRIES = 10_000;

export interface Entry {
  readonly key: string;
  /** One line: continued lines are joined with a blank. An empty value takes back what stood before it, in lists. */
  readonly value: string;
  /** The file and the line where it begins; where it was made by us, the file that it was made from, and 0. */
  readonly path: string;
  readonly line: number;
}

/** Sections in the order of their first line; a section that is opened twice is one. */
export type UnitFile = Map<string, Entry[]>;

/**
 * Reads a unit file.
 * @throws {DugoutError} QUADLET_INVALID, with the line.
 */
export function parseUnitFile(path: string, text: string): UnitFile {
  if (text.length > MAX_UNIT_BYTES) throw quadletError(path, undefined, `it has more than ${MAX_UNIT_BYTES} bytes`);
  if (text.includes("\0")) throw quadletError(path, undefined, "it has a NUL byte");
  const unit: UnitFile = new Map();
  let section: Entry[] | undefined;
  let count = 0;
  const lines = text.split("\n");
  for (let at = 0; at < lines.length;) {
    const first = at + 1;
    let line = stripLine(lines[at++] ?? "");
    if (line === "" || isComment(line)) continue;
    const parts: string[] = [];
    while (line.endsWith("\\")) {
      parts.push(line.slice(0, -1));
      // comments between continued lines belong to none of them
      while (at < lines.length && isComment(stripLine(lines[at] ?? ""))) at++;
      if (at >= lines.length) {
        line = "";
        break;
      }
      line = (lines[at++] ?? "").replace(/\r$/, "").trimEnd();
    }
    const whole = [...parts, line].join(" ").trim();
    if (whole.startsWith("[")) {
      section = openSection(unit, path, first, whole);
      continue;
    }
    const equals = whole.indexOf("=");
    if (equals <= 0) throw quadletError(path, first, `"${whole.slice(0, 60)}" is neither [Section] nor Key=value`);
    if (section === undefined) throw quadletError(path, first, "a key stands in front of the first [Section]");
    if (++count > MAX_ENTRIES) throw quadletError(path, first, `it has more than ${MAX_ENTRIES} keys`);
    const key = whole.slice(0, equals).trim();
    if (!/^[A-Za-z0-9-]+$/.test(key)) throw quadletError(path, first, `"${key.slice(0, 60)}" cannot be a key`);
    section.push({ key, value: whole.slice(equals + 1).trim(), path, line: first });
  }
  return unit;
}

function openSection(unit: UnitFile, path: string, line: number, text: string): Entry[] {
  const name = text.endsWith("]") ? text.slice(1, -1) : "";
  if (!/^[A-Za-z0-9][A-Za-z0-9 _-]*$/.test(name)) {
    throw quadletError(path, line, `"${text.slice(0, 60)}" is no section such as [Container]`);
  }
  const known = unit.get(name);
  if (known !== undefined) return known;
  const entries: Entry[] = [];
  unit.set(name, entries);
  return entries;
}

function stripLine(line: string): string {
  return line.trim();
}

function isComment(line: string): boolean {
  return line.startsWith("#") || line.startsWith(";");
}

/** Adds a drop-in's sections behind a unit's own: later single values win, lists grow. */
export function mergeUnit(unit: UnitFile, dropIn: UnitFile): void {
  for (const [name, entries] of dropIn) {
    const known = unit.get(name);
    if (known === undefined) unit.set(name, [...entries]);
    else known.push(...entries);
  }
}

/** A unit as text. Values have no line feeds: {@linkcode parseUnitFile} makes none, and ours are encoded by `exec_line.ts`. */
export function printUnitFile(unit: UnitFile): string {
  const blocks: string[] = [];
  for (const [name, entries] of unit) {
    blocks.push([`[${name}]`, ...entries.map(({ key, value }) => `${key}=${value}`)].join("\n") + "\n");
  }
  return blocks.join("\n");
}

/** The last value of a key; undefined where there is none. */
export function lastEntry(entries: readonly Entry[], key: string): Entry | undefined {
  return entries.findLast((entry) => entry.key === key);
}

/** All values of a key, behind the last one that is empty. */
export function listEntries(entries: readonly Entry[], key: string): Entry[] {
  const all = entries.filter((entry) => entry.key === key);
  return all.slice(all.findLastIndex(({ value }) => value === "") + 1);
}
