/**
 * The last resort: a container's root file system as a directory of its own, into which all layers are copied. It works on
 * every file system; with reflinks it is quick and small, else each container costs the image's size.
 *
 * @module
 */
import { existsSync, mkdirSync } from "node:fs";
import type { Fd } from "#linux/call.ts";
import { readDirectory } from "#linux/directory.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { openName, openResolved, setMode } from "#linux/tree.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import type { ByteString } from "#tar/bytes.ts";
import { copyTreeOver } from "./copy_tree.ts";
import { RESOLVE_STRICT } from "./directory_cache.ts";
import { layerPaths, type LayersPath, readLayerRecord } from "./layers.ts";
import type { LayerRecord } from "./record.ts";
import { removePath, removeTree } from "./remove_tree.ts";

/**
 * Makes a root file system of layers. To be called in the user namespace of the map, also where that has a single id: the
 * layers have files that their owner may not read.
 * @param diffIds Topmost first.
 * @param target A directory that is not there yet, whose parent is; on failure nothing of it stays.
 */
export function buildVfsRoot(layers: LayersPath, diffIds: readonly Digest[], target: string): void {
  mkdirSync(target, { mode: 0o700 });
  try {
    const root = openAt(AT_FDCWD, target, O_RDONLY | O_DIRECTORY);
    try {
      setMode(root, 0o755);
      for (const diffId of [...diffIds].reverse()) applyLayer(layers, diffId, root, target);
    } finally {
      close(root);
    }
  } catch (error) {
    removePath(target);
    throw error;
  }
}

function applyLayer(layers: LayersPath, diffId: Digest, root: Fd, target: string): void {
  const paths = layerPaths(layers, diffId);
  if (!existsSync(paths.record)) {
    throw new DugoutError("LAYER_UNKNOWN", `Cannot make a root file system: the layer "${diffId}" is not unpacked`, {
      hint: "Pull the image again",
    });
  }
  if (existsSync(paths.odd)) applyRecorded(readLayerRecord(layers, diffId)!, root);
  const source = openAt(AT_FDCWD, paths.diff, O_RDONLY | O_DIRECTORY);
  try {
    copyTreeOver(source, root, target);
  } finally {
    close(source);
  }
}

/** Whiteouts and opaque directories that the layer's tree could not hold. */
function applyRecorded(record: LayerRecord, root: Fd): void {
  for (const path of [...record.whiteouts, ...record.detached]) {
    const slash = path.lastIndexOf("/");
    withDirectory(root, path.slice(0, Math.max(slash, 0)), (dir) => removeTree(dir, path.slice(slash + 1)));
  }
  for (const path of record.opaques) {
    withDirectory(root, path, (dir) => {
      const entries = readDirectory(dir);
      if (typeof entries !== "number") { for (const { name } of entries) removeTree(dir, name); }
    });
  }
}

/** Does nothing when the path is no directory, or leads through a link. */
function withDirectory(root: Fd, path: string, act: (dir: Fd) => void): void {
  const fd = path === ""
    ? openName(root, ".", O_RDONLY | O_DIRECTORY)
    : openResolved(root, path as ByteString, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
  if (fd < 0) return;
  try {
    act(fd as Fd);
  } finally {
    close(fd as Fd);
  }
}
