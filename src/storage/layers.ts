/**
 * Unpacked layers: where they are, who may make one, and what killed processes leave.
 *
 *     layers/MAP/HEX/diff/         the tree; MAP names the id mapping that its owners are for (`mapName` of #linux/idmap.ts)
 *     layers/MAP/HEX/record.json   what the tree cannot hold (record.ts)
 *     layers/MAP/HEX.lock          locked by whoever unpacks it just now
 *     layers/MAP/HEX.….tmp         a layer on its way in, or on its way out
 *
 * A layer is there when its directory is: it is renamed into place when all of it is on the disk.
 *
 * @module
 */
import { closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "#linux/random.ts";
import { EEXIST, ENOENT, ENOTEMPTY } from "#linux/errno_values.ts";
import { AT_FDCWD } from "#linux/file.ts";
import { RENAME_NOREPLACE, renameName } from "#linux/tree.ts";
import { type Digest, digestHex } from "#oci/digest.ts";
import { fromText } from "#tar/bytes.ts";
import { listDirectory } from "./content.ts";
import { openDataRoot } from "./data_root.ts";
import { delay } from "./delay.ts";
import { type TryLock, tryLock } from "./flock.ts";
import { isSameFile } from "./lease.ts";
import { findMark, formatMark, hostMark, markState, ownMark } from "./owner_mark.ts";
import { ensurePrivateDir, errorCode } from "./private_dir.ts";
import { decodeRecord, type LayerRecord } from "./record.ts";
import { removePath } from "./remove_tree.ts";
import { treeError } from "./tree_error.ts";
import { unlinkIfThere } from "./write_file_whole.ts";

/** The layers of one id mapping, as the absolute path of their directory. */
export type LayersPath = string;

/** Where one layer is. */
export type LayerPaths = {
  readonly path: string;
  readonly diff: string;
  readonly record: string;
  /** An empty file where the record has more than owners: whiteouts off the disk, or what leans on the layers below. */
  readonly odd: string;
  /** An empty file where the archive has no entry for the root. */
  readonly rootless: string;
};

/** So often it is looked whether another process has finished a layer. */
const POLL_MS = 25;

/**
 * Where the layers of a mapping are; makes the directories, 0700.
 * @param root The data directory.
 * @param map `mapName` of the id mapping.
 */
export function openLayers(root: string, map: string): LayersPath {
  if (!/^[0-9a-z_-]{1,200}$/.test(map)) throw new RangeError(`Not the name of a map: ${JSON.stringify(map)}`);
  const layers = join(openDataRoot(root), "layers");
  ensurePrivateDir(layers);
  const path = join(layers, map);
  ensurePrivateDir(path);
  return path;
}

/** Where a layer is, or would be. */
export function layerPaths(layers: LayersPath, diffId: Digest): LayerPaths {
  return layerPathsIn(join(layers, digestHex(diffId)));
}

/** The same for a layer that has not got its name yet. */
export function layerPathsIn(path: string): LayerPaths {
  return {
    path,
    diff: join(path, "diff"),
    record: join(path, "record.json"),
    odd: join(path, "odd"),
    rootless: join(path, "rootless"),
  };
}

/** Whether a layer is there, all of it. */
export function hasLayer(layers: LayersPath, diffId: Digest): boolean {
  return statSync(layerPaths(layers, diffId).record, { throwIfNoEntry: false })?.isFile() === true;
}

/** Reads a layer's record; undefined when the layer is not there. */
export function readLayerRecord(layers: LayersPath, diffId: Digest): LayerRecord | undefined {
  const { record } = layerPaths(layers, diffId);
  try {
    return decodeRecord(readFileSync(record, "utf8"), record);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** The diff-ids (sha256) of all layers that are there. */
export function listLayers(layers: LayersPath): Digest[] {
  return listDirectory(layers).filter((name) => /^[0-9a-f]{64}$/.test(name)).map((hex) => `sha256:${hex}` as Digest);
}

/** A name beside a layer's own, which tells who made it: for a layer on its way out. */
export function temporaryPath(layers: LayersPath, diffId: Digest): string {
  return join(layers, `${digestHex(diffId)}.${formatMark(ownMark())}.${randomHex(6)}.tmp`);
}

/** The same for a layer on its way in; only the one that has the layer's lock makes these. */
export function incomingPath(layers: LayersPath, diffId: Digest): string {
  return join(layers, `${digestHex(diffId)}.in.${formatMark(ownMark())}.${randomHex(6)}.tmp`);
}

/**
 * Gives a finished layer its name.
 * @returns false when another process was first; the layer at `temporary` is the caller's to remove then.
 */
export function publishLayer(temporary: string, layers: LayersPath, diffId: Digest): boolean {
  const { path } = layerPaths(layers, diffId);
  const [from, to] = [fromText(temporary), fromText(path)];
  let result = renameName(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
  // file systems that know no flags (NFS): a plain rename never replaces a directory with something in it
  if (result < 0 && result !== -EEXIST) result = renameName(AT_FDCWD, from, AT_FDCWD, to);
  if (result === -EEXIST || result === -ENOTEMPTY) return false;
  if (result < 0) throw treeError("rename", to, -result);
  return true;
}

/**
 * Removes a layer: it is gone at once for everybody, then its files are. To be called in the user namespace of its map.
 * @returns false when it was gone already (C-050).
 */
export function removeLayer(layers: LayersPath, diffId: Digest): boolean {
  const temporary = temporaryPath(layers, diffId);
  const result = renameName(AT_FDCWD, fromText(layerPaths(layers, diffId).path), AT_FDCWD, fromText(temporary));
  if (result === -ENOENT) return false;
  if (result < 0) throw treeError("rename", fromText(temporary), -result);
  removePath(temporary);
  return true;
}

/**
 * Removes what killed processes left: layers that were on their way in or out, and locks that nobody holds. Those of
 * other machines are left alone. To be called in the user namespace of the map.
 * @returns How many things were removed.
 */
export function sweepLayers(layers: LayersPath, lock: TryLock = tryLock): number {
  let count = 0;
  for (const name of listDirectory(layers)) {
    const path = join(layers, name);
    if (name.endsWith(".tmp")) {
      const mark = findMark(name);
      if (mark !== undefined && markState(mark) === "dead" && removePath(path)) count++;
    } else if (name.endsWith(".lock")) {
      const fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
      if (lock(fd) === "locked" && isSameFile(fd, path) && unlinkIfThere(path)) count++;
      closeSync(fd);
    }
  }
  return count;
}

/**
 * Removes what killed processes left of a layer on its way in.
 * @param isExclusive Whether we have the layer's lock: nobody else on this machine is at it then, though a process that was
 * killed may still be on its way out.
 */
export function sweepIncoming(layers: LayersPath, diffId: Digest, isExclusive: boolean): void {
  const prefix = `${digestHex(diffId)}.in.`;
  for (const name of listDirectory(layers)) {
    if (!name.startsWith(prefix) || !name.endsWith(".tmp")) continue;
    const mark = findMark(name);
    if (mark === undefined) continue;
    const isOver = isExclusive ? mark.host === hostMark() : markState(mark) === "dead";
    if (isOver) removePath(join(layers, name));
  }
}

/** The right to unpack a layer, as far as the file system has locks. Ends with its process. */
export type LayerLock = {
  /** False where the file system has no locks: others may be at it as well. */
  readonly isExclusive: boolean;
  [Symbol.dispose](): void;
};

/**
 * Waits for the right to unpack a layer: one process at a time does it (C-046).
 * @returns undefined when the layer is there, perhaps made by another process meanwhile.
 */
export async function lockLayer(
  layers: LayersPath,
  diffId: Digest,
  signal?: AbortSignal,
  lock: TryLock = tryLock,
): Promise<LayerLock | undefined> {
  const path = join(layers, `${digestHex(diffId)}.lock`);
  for (;;) {
    if (hasLayer(layers, diffId)) return undefined;
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    const result = lock(fd);
    // The one before us removes the file when it is done: a lock on a file without its name is worth nothing.
    if (result === "unsupported" || (result === "locked" && isSameFile(fd, path))) {
      if (hasLayer(layers, diffId)) {
        unlinkIfThere(path);
        closeSync(fd);
        return undefined;
      }
      return {
        isExclusive: result === "locked",
        [Symbol.dispose]() {
          unlinkIfThere(path);
          closeSync(fd);
        },
      };
    }
    closeSync(fd);
    if (result === "busy") await delay(POLL_MS, signal);
  }
}
