/**
 * A container's own files beside the layers that it lies on, in the user namespace of its map: what `diff` lists, what
 * `commit` makes a layer of, and the whole of it for `export`.
 *
 * @module
 */
import { basename } from "node:path";
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { openName } from "#linux/tree.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { type ByteString, fromText, quote, toBytes } from "#tar/bytes.ts";
import { makeEntry } from "#tar/entry.ts";
import { TarOutput } from "#tar/output.ts";
import { TreeArchiver } from "./archive_tree.ts";
import { compareTrees, isUnchanged, type TreeChange } from "./compare_trees.ts";
import { endWithParent, ROOT_FD, writeData } from "./data_stream.ts";
import { lookAtMerged, openLayerRoots, openMergedParts } from "./merged_tree.ts";
import type { PathRecord } from "./record.ts";
import { LayerRecords, restoreRecorded } from "./recorded.ts";
import { treeError } from "./tree_error.ts";

/** Where a container's files are. Paths are absolute. */
export interface ContainerTrees {
  /** Its upper directory, or all of its root. */
  readonly tree: string;
  /** The directories below, topmost first. */
  readonly lowers: readonly string[];
  /** The layers whose directories these are, and their diff-ids; none of a directory of the host. */
  readonly layers: string;
  readonly diffIds: readonly Digest[];
  readonly isComplete: boolean;
  /** Absolute in the container. */
  readonly mountPoints: readonly string[];
}

/** What an archive came to. */
export interface TreesResult {
  /** How many changes there are, or entries. */
  readonly count: number;
  readonly sizeBytes: number;
  readonly warnings: readonly string[];
}

function compare(plan: ContainerTrees, tell: (change: TreeChange) => void): void {
  const tree = openAt(AT_FDCWD, plan.tree, O_RDONLY | O_DIRECTORY);
  let lowers: Fd[] = [];
  try {
    lowers = openLayerRoots(plan.lowers);
    const mountPoints = plan.mountPoints.map((path) => fromText(path.replace(/^\/+/, "")));
    compareTrees(tree, lowers, { isComplete: plan.isComplete, mountPoints }, tell);
  } finally {
    lowers.forEach(close);
    close(tree);
  }
}

/** Writes the changes to the stream: the letter, a blank, the path with its slash in front, a NUL. */
export function listChanges(plan: ContainerTrees): TreesResult {
  endWithParent();
  let count = 0;
  let text = "";
  const flush = () => {
    if (text !== "") writeData(toBytes(text as ByteString));
    text = "";
  };
  compare(plan, ({ kind, path }) => {
    count++;
    text += `${kind} /${path}\0`;
    if (text.length > 65_536) flush();
  });
  flush();
  return { count, sizeBytes: 0, warnings: [] };
}

/**
 * Writes a layer of the changes to the stream (image-spec, layer): what is gone as whiteouts, an opaque directory with its
 * marker, directories before what is in them, what the record of a layer says of a file given back.
 * @throws {DugoutError} WHITEOUT_NAME for a file that would be read as a whiteout (C-119).
 */
export function archiveChanges(plan: ContainerTrees): TreesResult {
  endWithParent();
  const records = new LayerRecords(plan.layers, plan.diffIds);
  const output = new TarOutput(writeData);
  const opaques = new Set<ByteString>();
  let count = 0;
  let record: PathRecord | undefined;
  let isSame = false;
  const archiver = new TreeArchiver(output, {
    owners: "kept",
    sparse: false,
    crossesMounts: false,
    adjust: (_, stat, entry) => record === undefined ? entry : restoreRecorded(entry, stat, record, isSame),
  });
  compare(plan, (change) => {
    count++;
    if (change.kind === "D") {
      const { path, within } = change;
      if (within === undefined) return output.entry(whiteout(path));
      if (!opaques.has(within)) output.entry(makeEntry(`${within}/.wh..wh..opq` as ByteString, "file", { mode: 0 }));
      opaques.add(within);
      return;
    }
    const { path, stat, at, xattrs, lower } = change;
    if (basename(path).startsWith(".wh.")) throw whiteoutName(path);
    record = lower === undefined ? undefined : records.of(lower.index).get(path);
    isSame = lower !== undefined && isUnchanged(stat, lower.stat);
    if (at === undefined) archiver.directory(path, stat, xattrs);
    else archiver.name(at.dir, at.name, path, stat);
  });
  output.finish();
  return { count, sizeBytes: output.totalBytes, warnings: [...archiver.warnings] };
}

function whiteout(path: ByteString) {
  const slash = path.lastIndexOf("/") + 1;
  return makeEntry(`${path.slice(0, slash)}.wh.${path.slice(slash)}` as ByteString, "file", { mode: 0 });
}

function whiteoutName(path: ByteString): DugoutError {
  return new DugoutError(
    "WHITEOUT_NAME",
    `Cannot commit ${quote(`/${path}` as ByteString)}: in a layer a name that begins with ".wh." deletes another file`,
    { exitCode: 1, hint: "rename it in the container first" },
  );
}

/** Writes all of the root that the worker was given to the stream, with the owners that layers have on record. */
export function exportTree(plan: ContainerTrees): TreesResult {
  endWithParent();
  const recorded = findRecorded(plan);
  const output = new TarOutput(writeData);
  let count = 0;
  const archiver = new TreeArchiver(output, {
    owners: "kept",
    sparse: false,
    crossesMounts: false,
    adjust: (path, stat, entry) => {
      count++;
      const record = recorded.get(path);
      return record === undefined ? entry : restoreRecorded(entry, stat, record, true);
    },
  });
  const dir = openName(ROOT_FD, ".", O_RDONLY | O_DIRECTORY);
  if (dir < 0) throw treeError("open", "", -dir);
  try {
    archiver.below(dir as Fd, "");
  } finally {
    close(dir as Fd);
  }
  output.finish();
  return { count, sizeBytes: output.totalBytes, warnings: [...archiver.warnings] };
}

/** The records of those files that the container still has from its layers, or has copied without a change. */
function findRecorded(plan: ContainerTrees): Map<ByteString, PathRecord> {
  const records = new LayerRecords(plan.layers, plan.diffIds);
  const found = new Map<ByteString, PathRecord>();
  const roots = openLayerRoots([plan.tree, ...plan.lowers]);
  try {
    plan.diffIds.forEach((_, index) => {
      for (const [path, record] of records.of(index)) {
        if (path === "") continue;
        const slash = path.lastIndexOf("/");
        const parts = openMergedParts(roots, path.slice(0, Math.max(slash, 0)) as ByteString);
        const top = lookAtMerged(parts, path.slice(slash + 1));
        const own = top?.index === 0
          ? lookAtMerged(parts.filter((part) => part.index > 0), path.slice(slash + 1))
          : top;
        parts.forEach(({ fd }) => close(fd));
        if (top === undefined || own?.index !== index + 1) continue;
        if (top.index === 0 && !isUnchanged(top.stat, own.stat)) {
          // of a file that was changed the owner stays
          const { uid, gid } = record;
          found.set(path, { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) });
        } else found.set(path, record);
      }
    });
  } finally {
    roots.forEach(close);
  }
  return found;
}
