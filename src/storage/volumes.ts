/**
 * Volumes: directories that outlive containers.
 *
 *     volumes/NAME/_data         what is mounted
 *     volumes/NAME/volume.json   what was said when it was made
 *     volumes/NAME/filled        an empty file: it was mounted once, and is never filled again (C-083)
 *     volumes/NAME/lock          locked by whoever fills it just now
 *     volumes/.lock              held for moments while a volume gets a user, or goes
 *     volumes/.….tmp             a volume on its way in, or on its way out
 *
 * A volume is made beside its place and renamed into it, so that of several processes one makes it, and all see it whole.
 *
 * @module
 */
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EEXIST, ENOENT, ENOTEMPTY } from "#linux/errno_values.ts";
import { AT_FDCWD } from "#linux/file.ts";
import { randomHex } from "#linux/random.ts";
import { RENAME_NOREPLACE, renameName } from "#linux/tree.ts";
import { DugoutError } from "#oci/error.ts";
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "#oci/json.ts";
import { quote } from "#oci/text.ts";
import { fromText } from "#tar/bytes.ts";
import { listDirectory } from "./content.ts";
import { delay } from "./delay.ts";
import { tryLock } from "./flock.ts";
import { findMark, formatMark, markState, ownMark } from "./owner_mark.ts";
import { ensurePrivateDir, errorCode } from "./private_dir.ts";
import { removePath } from "./remove_tree.ts";
import { treeError } from "./tree_error.ts";
import { syncDirectory, writeFileWhole } from "./write_file_whole.ts";

/** A volume. */
export interface Volume {
  readonly name: string;
  /** Its directory below volumes/. */
  readonly path: string;
  /** What is mounted. */
  readonly data: string;
  /** ISO 8601. */
  readonly created: string;
  /** Made for one container, without a name that anybody chose. */
  readonly isAnonymous: boolean;
  readonly labels: ReadonlyMap<string, string>;
  /** Of the driver `local`: type, device, o. */
  readonly options: ReadonlyMap<string, string>;
}

/** What a volume is made of. */
export interface VolumeSpec {
  /** Undefined: a random one, of an anonymous volume. */
  readonly name: string | undefined;
  readonly labels: ReadonlyMap<string, string>;
  readonly options: ReadonlyMap<string, string>;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;
const MAX_VOLUME_JSON_BYTES = 1 << 20;
const LOCK_POLL_MS = 10;

/** Where the volumes of a data directory are; made where they are not, 0700. */
export function openVolumes(dataRoot: string): string {
  const path = join(dataRoot, "volumes");
  ensurePrivateDir(path);
  return path;
}

/** Whether a volume may be called so. */
export function isVolumeName(name: string): boolean {
  return NAME.test(name);
}

/** Where a volume is, or would be. */
export function volumePath(volumes: string, name: string): string {
  if (!NAME.test(name)) {
    throw new DugoutError(
      "VOLUME_NAME_INVALID",
      `Cannot use ${quote(name)} as the name of a volume: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return join(volumes, name);
}

/**
 * Makes a volume, or takes the one that is there.
 * @throws {DugoutError} VOLUME_NAME_INVALID; VOLUME_EXISTS when the one that is there was made with other options.
 */
export function makeVolume(volumes: string, spec: VolumeSpec): { volume: Volume; isNew: boolean } {
  const name = spec.name ?? randomHex(32);
  const path = volumePath(volumes, name);
  const there = readVolume(volumes, name);
  if (there !== undefined) return { volume: checkSame(there, spec), isNew: false };

  const temporary = temporaryPath(volumes);
  mkdirSync(temporary, { mode: 0o700 });
  try {
    mkdirSync(join(temporary, "_data"));
    // not by mkdir: the caller's umask has no say in it (C-061)
    chmodSync(join(temporary, "_data"), 0o755);
    const record = {
      name,
      created: new Date().toISOString(),
      anonymous: spec.name === undefined,
      labels: Object.fromEntries(spec.labels),
      options: Object.fromEntries(spec.options),
    };
    // one without a name need not outlive a power cut
    const write = spec.name === undefined ? writeSoon : writeFileWhole;
    write(join(temporary, "volume.json"), JSON.stringify(record));
    if (!putInPlace(temporary, path)) {
      removePath(temporary);
      const other = readVolume(volumes, name);
      if (other === undefined) throw damaged(name, "it has no volume.json");
      return { volume: checkSame(other, spec), isNew: false };
    }
  } catch (error) {
    removePath(temporary);
    throw error;
  }
  if (spec.name !== undefined) syncDirectory(volumes);
  return { volume: readVolume(volumes, name)!, isNew: true };
}

function writeSoon(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
}

function checkSame(there: Volume, { options }: VolumeSpec): Volume {
  const same = [...options].every(([key, value]) => there.options.get(key) === value);
  if (same && (options.size === 0 || options.size === there.options.size)) return there;
  throw new DugoutError(
    "VOLUME_EXISTS",
    `Cannot make the volume ${quote(there.name)}: it is there already, with other options`,
    { hint: "Choose another name, or remove that volume first" },
  );
}

/** @returns false when something is there already. */
function putInPlace(temporary: string, path: string): boolean {
  const [from, to] = [fromText(temporary), fromText(path)];
  let result = renameName(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
  // file systems that know no flags (NFS): a plain rename never replaces a directory with something in it
  if (result < 0 && result !== -EEXIST) result = renameName(AT_FDCWD, from, AT_FDCWD, to);
  if (result === -EEXIST || result === -ENOTEMPTY) return false;
  if (result < 0) throw treeError("rename", to, -result);
  return true;
}

function temporaryPath(volumes: string): string {
  // no volume's name begins with a dot
  return join(volumes, `.new.${formatMark(ownMark())}.${randomHex(6)}.tmp`);
}

/**
 * Reads a volume; undefined when there is none of that name.
 * @throws {DugoutError} VOLUME_DAMAGED, VOLUME_NAME_INVALID.
 */
export function readVolume(volumes: string, name: string): Volume | undefined {
  const path = volumePath(volumes, name);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(join(path, "volume.json"));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw damaged(name, "it has no volume.json");
    return undefined;
  }
  const record = parseRecord(name, bytes);
  const created = record["created"];
  return {
    name,
    path,
    data: join(path, "_data"),
    created: typeof created === "string" ? created : "",
    isAnonymous: record["anonymous"] === true,
    labels: readTexts(record["labels"]),
    options: readTexts(record["options"]),
  };
}

function parseRecord(name: string, bytes: Uint8Array): JsonObject {
  let record: JsonValue;
  try {
    record = parseJson(bytes, `the volume ${quote(name)}`, { maxBytes: MAX_VOLUME_JSON_BYTES });
  } catch (error) {
    throw damaged(name, (error as Error).message);
  }
  if (!isJsonObject(record)) throw damaged(name, "its volume.json is no object");
  return record;
}

function readTexts(value: JsonValue | undefined): Map<string, string> {
  const texts = new Map<string, string>();
  if (value === undefined || !isJsonObject(value)) return texts;
  for (const [key, text] of Object.entries(value)) if (typeof text === "string") texts.set(key, text);
  return texts;
}

function damaged(name: string, why: string): DugoutError {
  return new DugoutError("VOLUME_DAMAGED", `Cannot use the volume ${quote(name)}: ${why}`, {
    hint: `write "{}" into the file volume.json in its directory, or remove it: 'dugout volume rm ${name}'`,
  });
}

/** All volumes, by name; and the names of those that cannot be read. */
export function listVolumes(volumes: string): { volumes: Volume[]; damaged: string[] } {
  const found: Volume[] = [];
  const broken: string[] = [];
  for (const name of listDirectory(volumes).sort()) {
    if (!NAME.test(name)) continue;
    try {
      const volume = readVolume(volumes, name);
      if (volume !== undefined) found.push(volume);
    } catch {
      broken.push(name);
    }
  }
  return { volumes: found, damaged: broken };
}

/**
 * Takes a volume out of sight, at once. To be called under {@linkcode withVolumesLock}.
 * @returns What is to be removed then, in a user namespace with all ids that may own files in it; undefined when it was
 * gone already.
 */
export function detachVolume(volumes: string, name: string): string | undefined {
  const temporary = temporaryPath(volumes);
  const result = renameName(AT_FDCWD, fromText(volumePath(volumes, name)), AT_FDCWD, fromText(temporary));
  if (result === -ENOENT) return undefined;
  if (result < 0) throw treeError("rename", fromText(name), -result);
  return temporary;
}

/** What killed processes left of volumes, to be removed as {@linkcode detachVolume} says. */
export function findVolumeRemains(volumes: string): string[] {
  return listDirectory(volumes).filter((name) => name.startsWith(".") && name.endsWith(".tmp")).flatMap((name) => {
    const mark = findMark(name);
    return mark !== undefined && markState(mark) === "dead" ? [join(volumes, name)] : [];
  });
}

/** Does something while no other process gives a volume a user or removes one, as far as the file system has locks. */
export function withVolumesLock<T>(volumes: string, act: () => T | Promise<T>): Promise<T> {
  return withLock(join(volumes, ".lock"), act);
}

/** Does something while no other process fills the volume. */
export function withVolumeLock<T>(volume: string, act: () => T | Promise<T>): Promise<T> {
  return withLock(join(volume, "lock"), act);
}

async function withLock<T>(path: string, act: () => T | Promise<T>): Promise<T> {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    while (tryLock(fd) === "busy") await delay(LOCK_POLL_MS);
    return await act();
  } finally {
    closeSync(fd);
  }
}
