/**
 * Unpacks one layer: blob → decompressed → digest and archive → files → record → disk → name.
 *
 * Whatever fails ends all of it, and nothing of the layer is left. Runs in the user namespace whose ids the
 * layer's owners are for, or without one where every file is the user's.
 *
 * @module
 */
import { openHash } from "#ffi/mod.ts";
import { chmodSync, closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { setMode, setOwner, syncFileSystem } from "#linux/tree.ts";
import { removeXattr } from "#linux/xattr.ts";
import type { Digest } from "#oci/digest.ts";
import { TarError } from "#tar/error.ts";
import { TarReader } from "#tar/reader.ts";
import { type Compression, decompress, type Decompressed } from "./decompress.ts";
import { LayerError } from "./layer_error.ts";
import { DEFAULT_LAYER_LIMITS, type LayerLimits } from "./layer_limits.ts";
import { LayerTree, type LayerTreeOptions, type LayerTreeResult } from "./layer_tree.ts";
import {
  incomingPath,
  type LayerPaths,
  layerPathsIn,
  type LayersPath,
  lockLayer,
  publishLayer,
  readLayerRecord,
  sweepIncoming,
} from "./layers.ts";
import { errorCode } from "./private_dir.ts";
import { encodeRecord, type LayerRecord } from "./record.ts";
import { removePath } from "./remove_tree.ts";
import { freeBytes, isNoSpace, noSpaceError } from "./space.ts";
import { treeError } from "./tree_error.ts";
import { syncDirectory } from "./write_file_whole.ts";
import type { Ownership } from "./xattr_place.ts";

/** What is to be unpacked, as plain data. */
export type UnpackPlan = {
  /** The layers of the map: `openLayers`. */
  readonly layers: LayersPath;
  /** What the uncompressed archive has to hash to. */
  readonly diffId: Digest;
  /** The blob: a file that is all there and whose own digest was verified when it came. */
  readonly blob: string;
  readonly ownership: Ownership;
  readonly limits?: LayerLimits | undefined;
};

export type UnpackResult = {
  /** present: it was there, or another process has just made it. */
  readonly status: "unpacked" | "present";
  readonly sizeBytes: number;
  readonly entries: number;
  readonly compression?: Compression;
  /** One line for each kind of thing that could not be had as the archive says. */
  readonly warnings: readonly string[];
};

/** Told now and then how many of the blob's bytes are done. */
export type OnProgress = (doneBytes: number, totalBytes: number) => void;

const READ_BYTES = 262_144;

/**
 * Unpacks a layer into the store, unless it is there.
 * @throws {LayerError} When the layer is refused.
 * @throws {DugoutError} ENOSPC, EDQUOT; the signal's reason.
 */
export async function unpackLayer(
  plan: UnpackPlan,
  onProgress?: OnProgress,
  signal?: AbortSignal,
): Promise<UnpackResult> {
  using lock = await lockLayer(plan.layers, plan.diffId, signal);
  if (lock === undefined) return presentResult(plan);
  sweepIncoming(plan.layers, plan.diffId, lock.isExclusive);
  const temporary = incomingPath(plan.layers, plan.diffId);
  mkdirSync(temporary, { mode: 0o700 });
  // the layers' own directory, 0700, keeps others out; under a map where we are not the owner, we have to get in
  chmodSync(temporary, 0o755);
  try {
    const { tree, stream } = await unpackInto(layerPathsIn(temporary).diff, plan, onProgress, signal);
    const { warnings, ...record } = tree;
    writeRecord(layerPathsIn(temporary), { ...record, diffId: plan.diffId });
    syncLayer(temporary);
    if (!publishLayer(temporary, plan.layers, plan.diffId)) {
      removePath(temporary);
      return presentResult(plan);
    }
    syncDirectory(plan.layers);
    const { compression } = stream;
    return { status: "unpacked", sizeBytes: record.sizeBytes, entries: record.entries, compression, warnings };
  } catch (error) {
    removePath(temporary);
    throw explain(error, plan.layers);
  }
}

function presentResult(plan: UnpackPlan): UnpackResult {
  const record = readLayerRecord(plan.layers, plan.diffId);
  return { status: "present", sizeBytes: record?.sizeBytes ?? 0, entries: record?.entries ?? 0, warnings: [] };
}

/**
 * Unpacks a blob into a new directory, without lock, record or sync: the middle of {@linkcode unpackLayer}, and what
 * tests and `vfs` look at. The directory is made; on failure it is left to the caller.
 */
export async function unpackInto(
  directory: string,
  plan: Pick<UnpackPlan, "blob" | "ownership" | "limits"> & { diffId?: Digest },
  onProgress?: OnProgress,
  signal?: AbortSignal,
): Promise<{ tree: LayerTreeResult; stream: Decompressed; diffId: Digest }> {
  const limits = plan.limits ?? DEFAULT_LAYER_LIMITS;
  const options: LayerTreeOptions = {
    ownership: plan.ownership,
    limits,
    own: { uid: process.geteuid!(), gid: process.getegid!() },
    umask: readUmask(),
    place: directory,
  };
  const root = makeRoot(directory, options);
  try {
    using tree = new LayerTree(root, options);
    const reader = new TarReader(tree);
    const hash = openHash("sha256");
    const take = (bytes: Uint8Array) => {
      hash.update(bytes);
      reader.write(bytes);
    };
    const stream = await decompress(readBlobFile(plan.blob, directory, onProgress), take, limits, signal);
    reader.finish();
    const diffId = `sha256:${hash.digest("hex")}` as Digest;
    if (plan.diffId !== undefined && plan.diffId !== diffId) {
      throw new LayerError("LAYER_DIGEST", `its content is "${diffId}", and the image says "${plan.diffId}"`, {
        hint: "The image is damaged, or its configuration belongs to another one",
      });
    }
    return { tree: tree.finish(), stream, diffId };
  } finally {
    close(root);
  }
}

function makeRoot(directory: string, options: LayerTreeOptions) {
  mkdirSync(directory, { mode: 0o700 });
  const root = openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
  // What the directory above would hand down to everything in it: a set-group-ID bit, a group, default ACLs.
  removeXattr(root, "system.posix_acl_default");
  removeXattr(root, "system.posix_acl_access");
  setOwner(root, "", options.own.uid, options.own.gid);
  const result = setMode(root, 0o700);
  if (result < 0) throw treeError("fchmod", directory, -result);
  return root;
}

/** The blob in pieces; the buffer is the same each time. */
function* readBlobFile(path: string, directory: string, onProgress?: OnProgress): Generator<Uint8Array> {
  const fd = openSync(path, "r");
  try {
    const total = fstatSync(fd).size;
    if (freeBytes(directory) < total) throw noSpaceError(directory, total, "the layer");
    const buffer = new Uint8Array(READ_BYTES);
    for (let done = 0;;) {
      const length = readSync(fd, buffer, 0, buffer.length, done);
      if (length === 0) return;
      done += length;
      yield buffer.subarray(0, length);
      onProgress?.(done, total);
    }
  } finally {
    closeSync(fd);
  }
}

function writeRecord(paths: LayerPaths, record: LayerRecord): void {
  const options = { flag: "wx", mode: 0o600 };
  writeFileSync(paths.record, encodeRecord(record), options);
  const { whiteouts, opaques, detached, madeUp, hasRoot } = record;
  if (whiteouts.length + opaques.length + detached.length + madeUp.length > 0) writeFileSync(paths.odd, "", options);
  if (!hasRoot) writeFileSync(paths.rootless, "", options);
}

/** Everything is on the disk before the layer has its name, or a power loss leaves empty files in it (C-048). */
function syncLayer(temporary: string): void {
  const fd = openAt(AT_FDCWD, temporary, O_RDONLY | O_DIRECTORY);
  const result = syncFileSystem(fd);
  close(fd);
  if (result < 0) throw treeError("syncfs", temporary, -result, temporary);
}

/** The process's umask, without changing it for a moment (proc_pid_status(5), Linux 4.7); all bits where it is not told. */
function readUmask(): number {
  try {
    const match = /^Umask:\s*([0-7]+)$/m.exec(readFileSync("/proc/self/status", "latin1"));
    return match === null ? 0o777 : parseInt(match[1]!, 8);
  } catch {
    return 0o777;
  }
}

/** An archive that cannot be read is a layer that cannot; a full disk is named as such. */
function explain(error: unknown, place: string): unknown {
  if (error instanceof TarError) {
    const code = error.code === "limit" || error.code === "name" ? "LAYER_ENTRY" : "LAYER_CORRUPT";
    return new LayerError(code, error.message, { cause: error });
  }
  if (isNoSpace(error) && !(error instanceof LayerError) && errorCode(error) !== "") {
    return error instanceof Error && "hint" in error ? error : noSpaceError(place, 0, "the layer", error);
  }
  return error;
}
