/**
 * `image prune`: removes images that nobody needs, and sweeps what killed processes left in the store.
 *
 * @module
 */
import type { Digest } from "#oci/digest.ts";
import { type ContentStore, deleteBlob, listBlobs, listDirectory } from "#storage/content.ts";
import { sweepAbandoned, withStoreLock } from "#storage/lease.ts";
import { listNames, refreshIndex, removeNameFiles, sweepTemporaries } from "#storage/names.ts";
import { familiarReference, parseReference } from "#oci/reference.ts";
import { join } from "node:path";
import { findNeeded, type LayerShelf } from "./collect.ts";
import { filterImages, type ImageFilter, isDangling } from "./filter.ts";
import { listImages } from "./list.ts";
import type { RemoveRecord, RemoveResult } from "./remove.ts";

export type PruneOptions = {
  nowMs: number;
  /** `-a`: every image that no container is made from, not only those without a tag. */
  all: boolean;
  filter: ImageFilter;
  /** Whether a container is made from the image, running or not. */
  isUsed: (imageId: Digest) => boolean;
  shelf: LayerShelf;
};

/**
 * Removes images, and then everything that no name leads to and no living process holds: blobs, layers, half-made
 * downloads (C-046). Works on a full disk (C-051).
 */
export async function pruneImages(store: ContentStore, options: PruneOptions): Promise<RemoveResult> {
  const { records, cleanups, freedBytes } = await withStoreLock(store, () => {
    const records = removeUnusedNames(store, options);
    const needed = findNeeded(store, options.nowMs);
    const inUse = options.shelf.inUse();
    const cleanups: (() => Promise<number>)[] = [];
    let freedBytes = 0;
    for (const digest of listBlobs(store)) if (!needed.blobs.has(digest)) freedBytes += deleteBlob(store, digest);
    for (const diffId of options.shelf.list()) {
      const cleanup = needed.layers.has(diffId) || inUse.has(diffId) ? undefined : options.shelf.detach(diffId);
      if (cleanup === undefined) continue;
      cleanups.push(cleanup);
      records.push({ deleted: diffId });
    }
    freedBytes += sweepIngest(store, options.nowMs);
    sweepTemporaries(store);
    refreshIndex(store);
    return { records, cleanups, freedBytes };
  });
  let total = freedBytes;
  for (const cleanup of cleanups) total += await cleanup();
  return { records, freedBytes: total };
}

function removeUnusedNames(store: ContentStore, options: PruneOptions): RemoveRecord[] {
  const records: RemoveRecord[] = [];
  const isAll = options.all || options.filter.dangling === false;
  const { dangling: _, ...filter } = options.filter;
  const { images, damaged } = listImages(store);
  const candidates = filterImages(store, images, filter).filter((image) =>
    (isAll || isDangling(image)) && !options.isUsed(image.id)
  );
  const removable = new Set(candidates.map((image) => image.id));
  const { names } = listNames(store);
  const removed = new Set<string>();
  for (const image of candidates) {
    const targets = new Set(image.targets.map((target) => target.digest));
    // a name of several platforms goes when all of them may
    const siblings = images.filter((other) => other.targets.some((target) => targets.has(target.digest)));
    if (!siblings.every((other) => removable.has(other.id))) continue;
    for (const name of names) {
      if (!targets.has(name.target.digest) || removed.has(name.fileName)) continue;
      removed.add(name.fileName);
      if (name.reference !== undefined) records.push({ untagged: familiarReference(parseReference(name.reference)) });
    }
    records.push({ deleted: image.id });
  }
  // without a name and beyond use: nobody can want it back
  for (const { reference, target, fileName } of damaged) {
    if (target !== undefined && reference === undefined) removed.add(fileName);
  }
  removeNameFiles(store, removed);
  return records;
}

/**
 * Removes what is in `ingest/` and belongs to no living process: downloads that were cut, content that was not
 * committed, leases.
 * @returns The bytes that this freed.
 */
export function sweepIngest(store: ContentStore, nowMs: number): number {
  return listDirectory(join(store.path, "ingest")).reduce(
    (freedBytes, name) => freedBytes + (sweepAbandoned(store, name, nowMs) ?? 0),
    0,
  );
}
