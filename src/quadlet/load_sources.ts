/**
 * Finding a user's files: the directories in order, in which the first file of a name counts, with their drop-ins
 * (systemd.unit(5)) merged in.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, isAbsolute, join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { quadletError } from "./error.ts";
import { kindOf, type Source, stemOf, templateOf } from "./source.ts";
import { MAX_UNIT_BYTES, mergeUnit, parseUnitFile, type UnitFile } from "./unit_file.ts";

/** Directories below these are looked through as well, so deep and no deeper. */
const MAX_DEPTH = 8;
const MAX_FILES = 10_000;

/** What the environment says about places. */
export interface Places {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly home: string | undefined;
}

/**
 * Where files are looked for, the first of a name wins: podman's places, of which QUADLET_UNIT_DIRS (parted by colons)
 * names others instead. As there, files of `/etc/containers/systemd/users` are for all, those below `users/UID` for one.
 */
export function quadletDirectories({ env, uid, home }: Places): string[] {
  const named = env["QUADLET_UNIT_DIRS"];
  if (named !== undefined && named !== "") return named.split(":").filter(isAbsolute);
  const runtime = env["XDG_RUNTIME_DIR"];
  const config = env["XDG_CONFIG_HOME"];
  const below = (directory: string | undefined, ...path: string[]) =>
    directory !== undefined && isAbsolute(directory) ? [join(directory, ...path)] : [];
  const [own] = [...below(config, "containers/systemd"), ...below(home, ".config/containers/systemd")];
  return [
    ...below(runtime, "containers/systemd"),
    ...(own === undefined ? [] : [own]),
    `/etc/containers/systemd/users/${uid}`,
    "/etc/containers/systemd/users",
    `/usr/share/containers/systemd/users/${uid}`,
    "/usr/share/containers/systemd/users",
  ];
}

/** What was found, and what could not be read. */
export interface Loaded {
  readonly sources: Source[];
  readonly errors: DugoutError[];
}

/** Reads all files, each with its drop-ins. */
export function loadSources(directories: readonly string[]): Loaded {
  const found = new Map<string, string>();
  const all: string[] = [];
  for (const directory of directories) walk(directory, 0, found, all);
  const sources: Source[] = [];
  const errors: DugoutError[] = [];
  for (const [file, path] of found) {
    const kind = kindOf(file);
    if (kind === undefined) continue;
    try {
      const unit = parseUnitFile(path, readSmallFile(path));
      for (const dropIn of dropInsOf(file, all)) mergeUnit(unit, readDropIn(dropIn));
      sources.push({ file, kind, path, unit });
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      errors.push(error);
    }
  }
  return { sources, errors };
}

/** Gathers files by name, and all directories on the way, in which drop-ins may be. */
function walk(directory: string, depth: number, found: Map<string, string>, all: string[]): void {
  if (depth > MAX_DEPTH || found.size > MAX_FILES) return;
  let names: string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    // most of the places are not there
    return;
  }
  all.push(directory);
  const isForAll = directory === "/etc/containers/systemd/users" || directory === "/usr/share/containers/systemd/users";
  for (const name of names) {
    const path = join(directory, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (!stat.isDirectory()) {
      if (kindOf(name) !== undefined && !found.has(name)) found.set(name, path);
    } else if (!name.endsWith(".d") && !(isForAll && /^[0-9]+$/.test(name))) {
      // a directory of numbers there belongs to that user alone
      walk(path, depth + 1, found, all);
    }
  }
}

/**
 * The drop-ins of a file, in the order in which they are merged: by name, one of a narrower directory in place of one of a
 * wider with the same name. For `a-b@1.container`: `container.d`, `a-.container.d`, `a-b@.container.d`, `a-b@1.container.d`.
 */
function dropInsOf(file: string, directories: readonly string[]): string[] {
  const chosen = new Map<string, string>();
  for (const name of dropInDirectories(file)) {
    // of several places the first one wins
    for (const directory of [...directories].reverse()) {
      for (const entry of listDirectory(join(directory, name))) {
        if (entry.endsWith(".conf")) chosen.set(entry, join(directory, name, entry));
      }
    }
  }
  return [...chosen].sort(([a], [b]) => a < b ? -1 : 1).map(([, path]) => path);
}

/** From the widest to the narrowest. */
export function dropInDirectories(file: string): string[] {
  const stem = stemOf(file);
  const ending = file.slice(stem.length + 1);
  const template = templateOf(stem);
  const base = template === undefined ? stem : template.prefix;
  const stems: string[] = [];
  for (let at = base.indexOf("-"); at >= 0; at = base.indexOf("-", at + 1)) {
    if (at < base.length - 1) stems.push(base.slice(0, at + 1));
  }
  if (template !== undefined && template.instance !== "") stems.push(`${template.prefix}@`);
  return [`${ending}.d`, ...[...stems, stem].map((name) => `${name}.${ending}.d`)];
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readDropIn(path: string): UnitFile {
  return parseUnitFile(path, readSmallFile(path));
}

/** Reads a regular file of bounded size as UTF-8; a fifo does not keep us waiting. */
function readSmallFile(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw quadletError(path, undefined, `it cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`);
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw quadletError(path, undefined, `${basename(path)} is no regular file`);
    if (stat.size > MAX_UNIT_BYTES) throw quadletError(path, undefined, `it has more than ${MAX_UNIT_BYTES} bytes`);
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(fd));
  } catch (error) {
    if (error instanceof TypeError) throw quadletError(path, undefined, "it is not UTF-8");
    throw error;
  } finally {
    closeSync(fd);
  }
}
