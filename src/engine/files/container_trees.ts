/**
 * `diff` and `export`: a container's own files beside the layers that it was made from.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { decodeRequest, type KeptRequest } from "#docker/request_codec.ts";
import type { Fd } from "#linux/call.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { resolveInLayers } from "#runtime/resolve.ts";
import type { ContainerTrees, TreesResult } from "#storage/container_trees.ts";
import { hasLayer, layerPaths } from "#storage/layers.ts";
import { type ByteString, quote, toText } from "#tar/bytes.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { oldRecord, snapshotView, takenApart, viewMap } from "./container_view.ts";
import type { Engine } from "../engine.ts";
import { hasMountBelow, readMountPoints } from "../prepare/host_tree.ts";
import { readFromWorker } from "./read_from_worker.ts";
import { runInWorker } from "../worker.ts";

/** Where the engine mounts something in every container (spec.ts, prepare.ts). */
const MOUNT_POINTS = [
  "/dev",
  "/proc",
  "/sys",
  "/etc/hosts",
  "/etc/hostname",
  "/etc/resolv.conf",
  "/etc/apt/apt.conf.d/99-single-id",
];

/** A change as docker shows it. */
export interface ShownChange {
  readonly kind: "A" | "C" | "D";
  /** Absolute in the container; bytes that are no text quoted. */
  readonly path: string;
}

/**
 * Tells what a container has changed.
 * @throws {DugoutError} NO_IMAGE, LAYERS_GONE.
 */
export async function diffContainer(
  engine: Engine,
  record: ContainerRecord,
  tell: (change: ShownChange) => void,
): Promise<void> {
  const trees = containerTrees(engine, record);
  let rest = "";
  await readFromWorker(
    (data) => runInWorker(viewMap(record), { kind: "listChanges", ...trees }, { data, inNamespace: true }),
    (bytes) => {
      const lines = (rest + Buffer.from(bytes).toString("latin1")).split("\0");
      rest = lines.pop()!;
      for (const line of lines) {
        const path = line.slice(2) as ByteString;
        tell({ kind: line[0] as ShownChange["kind"], path: toText(path) ?? quote(path) });
      }
    },
  );
}

/** Writes all of a container's root, without what is mounted in it, to a descriptor. */
export async function exportContainer(engine: Engine, record: ContainerRecord, data: Fd): Promise<TreesResult> {
  const { view, map } = await snapshotView(engine, record);
  const trees = exportTrees(engine, record);
  return await runInWorker(map, { kind: "exportTree", ...trees }, { data, view, inNamespace: true });
}

/**
 * A container's files and the layers below, for a worker.
 * @throws {DugoutError} NO_IMAGE where there is nothing below; LAYERS_GONE.
 */
export function containerTrees(engine: Engine, record: ContainerRecord): PlainTrees {
  const trees = exportTrees(engine, record);
  if (trees.lowers.length > 0) return trees;
  throw new DugoutError(
    "NO_IMAGE",
    `Cannot tell what the container "${record.name}" has changed: its root is a directory that it writes to itself`,
    { exitCode: 1 },
  );
}

/** As a plan has it: lists of its own. */
type PlainTrees = { -readonly [Key in keyof ContainerTrees]: Mutable<ContainerTrees[Key]> };
type Mutable<T> = T extends readonly (infer Item)[] ? Item[] : T;

/** The same; without anything below for a container that writes to a directory itself. */
export function exportTrees(engine: Engine, record: ContainerRecord): PlainTrees {
  const kept = readKept(record);
  const directory = join(engine.dataRoot, "containers", record.id);
  const copy = join(directory, "root");
  const isCopy = existsSync(copy);
  const { rootfs } = kept.options;
  if (rootfs?.overlay === true && hasMountBelow(rootfs.path, readMountPoints())) throw takenApart(record);
  const layers = join(engine.dataRoot, "layers", record.map);
  const diffIds = rootfs === undefined ? rootDiffIds(record, layers) : [];
  const below = rootfs === undefined
    ? diffIds.map((diffId) => layerPaths(layers, diffId).diff)
    : rootfs.overlay
    ? [rootfs.path]
    : [];
  const tree = isCopy ? copy : rootfs !== undefined && !rootfs.overlay ? rootfs.path : join(directory, "upper");
  const resolve = (path: string) => resolveInLayers(isCopy ? [tree] : [tree, ...below], path).path;
  return {
    tree,
    lowers: below,
    layers,
    diffIds,
    isComplete: isCopy,
    mountPoints: [...MOUNT_POINTS, ...record.mounts.map(({ target }) => resolve(target))],
  };
}

function readKept(record: ContainerRecord): KeptRequest {
  if (record.request === undefined) throw oldRecord(record);
  return decodeRequest(record.request);
}

/** The layers of a container's own root, topmost first, each once. */
function rootDiffIds(record: ContainerRecord, layers: string): Digest[] {
  const diffIds = record.lowers.slice(0, record.rootLayers).map((hex) => `sha256:${hex}`).filter(isDigest);
  const missing = diffIds.find((diffId) => !hasLayer(layers, diffId));
  if (missing === undefined) return diffIds;
  throw new DugoutError(
    "LAYERS_GONE",
    `Cannot use the files of the container "${record.name}": the layer "${missing}" of its image is not there`,
    { exitCode: 1, hint: "pull the image again" },
  );
}
