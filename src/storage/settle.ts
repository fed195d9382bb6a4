/**
 * Layers that lean on those below them, put right when all layers of an image are there.
 *
 * A layer may hold `usr/bin/tool` without an entry for `usr/bin`: the directory has to be made up, and since overlayfs takes
 * a directory's mode and owner from the topmost layer that has it, they have to be those of the layer below. And it may
 * delete `usr/x/y` without an entry for `usr/x`: the whiteout needs that directory, but must not make one up where no layer
 * below has it (C-006). Both are few, and cost nothing where there are none.
 *
 * @module
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Fd } from "#linux/call.ts";
import { ENOENT } from "#linux/errno_values.ts";
import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  openAt,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
} from "#linux/file.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import { makeDirectory, makeNode, openName, openResolved, setMode, setMtime, setOwner } from "#linux/tree.ts";
import { getXattr } from "#linux/xattr.ts";
import { type Digest, digestHex, hashBytes } from "#oci/digest.ts";
import type { ByteString } from "#tar/bytes.ts";
import { RESOLVE_STRICT } from "./directory_cache.ts";
import { layerPaths, type LayersPath, readLayerRecord } from "./layers.ts";
import { treeError } from "./tree_error.ts";
import { OPAQUE_XATTR } from "./whiteout.ts";

/**
 * Whether {@linkcode settleLayers} has anything to do: false for almost every image, and for one that has been settled
 * over the same layers. Can be asked outside of the user namespace.
 * @param diffIds Topmost first.
 */
export function needsSettling(layers: LayersPath, diffIds: readonly Digest[]): boolean {
  return diffIds.some((_, i) => isUnsettled(layers, diffIds.slice(i)));
}

/** @param diffIds The layer, and those below it. */
function isUnsettled(layers: LayersPath, diffIds: readonly Digest[]): boolean {
  if (diffIds.length < 2) return false;
  return existsSync(layerPaths(layers, diffIds[0]!).odd) && !existsSync(settledMark(layers, diffIds));
}

/** An empty file beside a layer's tree that names the layers below over which it was settled. */
function settledMark(layers: LayersPath, [diffId, ...below]: readonly Digest[]): string {
  return join(layerPaths(layers, diffId!).path, `settled.${digestHex(hashBytes(below.join("\n"))).slice(0, 32)}`);
}

/**
 * Settles the layers of an image; again is no harm. To be called in the user namespace of the map, before the image is used.
 * @param diffIds Topmost first.
 */
export function settleLayers(layers: LayersPath, diffIds: readonly Digest[]): void {
  // lowest first: what is made up in one layer may lean on what was made up in the one below
  for (let i = diffIds.length - 2; i >= 0; i--) {
    const stack = diffIds.slice(i);
    if (!isUnsettled(layers, stack)) continue;
    settleLayer(layers, diffIds[i]!, diffIds.slice(i + 1));
    writeFileSync(settledMark(layers, stack), "", { mode: 0o600 });
  }
}

function settleLayer(layers: LayersPath, diffId: Digest, below: readonly Digest[]): void {
  const record = readLayerRecord(layers, diffId);
  if (record === undefined || record.detached.length + record.madeUp.length === 0) return;
  const opened: Fd[] = [];
  try {
    const open = (id: Digest) => {
      const fd = openAt(AT_FDCWD, layerPaths(layers, id).diff, O_PATH | O_DIRECTORY);
      opened.push(fd);
      return fd;
    };
    const root = open(diffId);
    const lowers = below.map(open);
    for (const path of record.madeUp) settleDirectory(root, lowers, path);
    for (const path of record.detached) settleWhiteout(root, lowers, path);
  } finally {
    opened.forEach(close);
  }
}

/** Gives a made-up directory what the layer below says about it. */
function settleDirectory(root: Fd, lowers: readonly Fd[], path: ByteString): void {
  const fd = openResolved(root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
  if (fd < 0) return; // replaced by the layer itself
  try {
    // it hides what is below: it is a new one
    if (typeof getXattr(fd as Fd, OPAQUE_XATTR) !== "number") return;
    const found = lookUp(lowers, path);
    if (found !== undefined && (found.mode & S_IFMT) === S_IFDIR) describe(fd as Fd, path, found);
  } finally {
    close(fd as Fd);
  }
}

/** Makes a whiteout for what the layers below have, with the directories that it needs; nothing where they have nothing. */
function settleWhiteout(root: Fd, lowers: readonly Fd[], path: ByteString): void {
  if (lookUp(lowers, path) === undefined) return;
  const parts = path.split("/");
  const name = parts.pop()!;
  let at = openName(root, ".", O_RDONLY | O_DIRECTORY) as Fd;
  try {
    let done = "";
    for (const part of parts) {
      done = done === "" ? part : `${done}/${part}`;
      let next = openResolved(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_STRICT);
      if (next === -ENOENT) {
        const found = lookUp(lowers, done as ByteString);
        changing(at, path, () => makeDirectory(at, part, 0o700));
        next = openResolved(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_STRICT);
        if (next >= 0 && found !== undefined) describe(next as Fd, path, found);
      }
      if (next < 0) return; // a file or a link of the layer's own: what is below is out of sight
      close(at);
      at = next as Fd;
    }
    if (statName(at, name) === -ENOENT) changing(at, path, () => makeNode(at, name, S_IFCHR, 0));
  } finally {
    close(at);
  }
}

/** Changes a directory and gives it its mode and time back. */
function changing(dir: Fd, path: ByteString, change: () => number): void {
  const before = statName(dir, "");
  if (typeof before === "number") throw treeError("stat", path, -before);
  setMode(dir, 0o700);
  const result = change();
  setMode(dir, before.mode & 0o7777);
  setMtime(dir, "", before.mtimeSeconds, before.mtimeNanoseconds);
  if (result < 0) throw treeError("settle", path, -result);
}

function describe(fd: Fd, path: ByteString, wanted: FileStat): void {
  const own = statName(fd, "");
  if (typeof own !== "number" && (own.uid !== wanted.uid || own.gid !== wanted.gid)) {
    setOwner(fd, "", wanted.uid, wanted.gid);
  }
  const result = setMode(fd, wanted.mode & 0o7777);
  if (result < 0) throw treeError("fchmod", path, -result);
  setMtime(fd, "", wanted.mtimeSeconds, wanted.mtimeNanoseconds);
}

/** What the layers show at a path, topmost first; undefined where that is nothing. */
function lookUp(lowers: readonly Fd[], path: ByteString): FileStat | undefined {
  for (const lower of lowers) {
    const found = lookUpIn(lower, path);
    if (found === "hidden") return undefined;
    if (found !== "absent") return found;
  }
  return undefined;
}

/** In one layer: hidden when it hides what is below. */
function lookUpIn(root: Fd, path: ByteString): FileStat | "absent" | "hidden" {
  let at = openName(root, ".", O_RDONLY | O_DIRECTORY) as Fd;
  let isOpaque = false;
  try {
    const parts = path.split("/");
    for (const [i, part] of parts.entries()) {
      const stat = statName(at, part);
      if (typeof stat === "number") return isOpaque ? "hidden" : "absent";
      const isWhiteout = (stat.mode & S_IFMT) === S_IFCHR && stat.deviceMajor === 0 && stat.deviceMinor === 0;
      if (isWhiteout) return "hidden";
      if (i === parts.length - 1) return stat;
      const next = openResolved(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_STRICT);
      if (next < 0) return "hidden";
      close(at);
      at = next as Fd;
      isOpaque ||= typeof getXattr(at, OPAQUE_XATTR) !== "number";
    }
    return "absent";
  } finally {
    close(at);
  }
}
