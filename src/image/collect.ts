/**
 * What may go: blobs and layers that no name leads to and no living process holds.
 *
 * @module
 */
import { type Digest, isDigest } from "#oci/digest.ts";
import { type ContentStore, deleteBlob } from "#storage/content.ts";
import { readLeases, withStoreLock } from "#storage/lease.ts";
import { listNames } from "#storage/names.ts";
import { walkTarget } from "./closure.ts";

/** The unpacked layers, as the storage room has them. */
export type LayerShelf = {
  /** The diff-ids of all unpacked layers. */
  list(): readonly Digest[];
  /** Those that containers are made of, running or not: they stay, whatever happens to the image. */
  inUse(): ReadonlySet<Digest>;
  /**
   * Takes a layer out of sight, at once, under all id mappings; a layer that is gone already is no error. Called under the store's lock. What takes time is done by the function that comes
   * back, which is called when the lock is free again, and tells the bytes that were freed.
   */
  detach(diffId: Digest): (() => Promise<number>) | undefined;
};

/** For callers without unpacked layers, such as tests. */
export const NO_LAYERS: LayerShelf = { list: () => [], inUse: () => new Set(), detach: () => undefined };

/** What must stay. Called under the store's lock. */
export type Needed = { readonly blobs: ReadonlySet<Digest>; readonly layers: ReadonlySet<Digest> };

/** Everything that names lead to and leases hold. */
export function findNeeded(store: ContentStore, nowMs: number): Needed {
  const blobs = new Set<Digest>();
  const layers = new Set<Digest>();
  for (const held of readLeases(store, nowMs)) {
    // a lease lists blobs and diff-ids alike
    blobs.add(held as Digest);
    layers.add(held as Digest);
  }
  const seen = new Set<Digest>();
  for (const name of listNames(store).names) {
    if (name.layout !== undefined) blobs.add(name.layout.digest);
    if (seen.has(name.target.digest)) continue;
    seen.add(name.target.digest);
    const closure = walkTarget(store, name.target);
    for (const digest of closure.blobs) blobs.add(digest);
    for (const image of closure.images) for (const diffId of image.config.diffIds) layers.add(diffId);
  }
  return { blobs, layers };
}

/** Removes those of `digests` that no name leads to and no lease holds: what work that failed had put into the store. */
export async function removeUnneeded(store: ContentStore, digests: Iterable<string>, nowMs: number): Promise<void> {
  await withStoreLock(store, () => {
    const { blobs } = findNeeded(store, nowMs);
    for (const digest of digests) if (isDigest(digest) && !blobs.has(digest)) deleteBlob(store, digest);
  });
}
