/**
 * What the store takes on disk: images with their blobs and unpacked layers, containers, volumes.
 *
 * @module
 */
import { join } from "node:path";
import { type Image, listImages } from "#image/list.ts";
import { blobSize, listBlobs } from "#storage/content.ts";
import { listVolumes, openVolumes, type Volume } from "#storage/volumes.ts";
import { type Container, listContainers } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { shelfBytes } from "./layer_shelf.ts";
import { type ContainerSize, measureContainers } from "./measure_container.ts";
import { measureOwnTrees } from "../own_trees.ts";
import { volumeUsers } from "../volumes/remove_volumes.ts";

/** An image, and what of the disk is its own. */
export interface ImageUsage {
  readonly image: Image;
  readonly sizeBytes: number;
  /** What other images have as well. */
  readonly sharedBytes: number;
  readonly containers: number;
}

/** A volume, and how many containers use it. */
export interface VolumeUsage {
  readonly volume: Volume;
  readonly sizeBytes: number;
  readonly users: number;
}

/** What everything takes. */
export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  /** All blobs and layers, those that no image has (yet, or any more) too. */
  readonly imageBytes: number;
  readonly containers: readonly (Container & { readonly size: ContainerSize })[];
  readonly volumes: readonly VolumeUsage[];
}

/** Measures the store. Images are told from their documents and records, containers and volumes are looked at. */
export async function measureDisk(engine: Engine): Promise<DiskUsage> {
  const { containers } = listContainers(engine);
  const { volumes } = listVolumes(openVolumes(engine.dataRoot));
  const sizes = await measureContainers(engine, containers.map(({ record }) => record));
  const volumeSizes = await measureOwnTrees(engine, volumes.map(({ path }) => join(path, "_data")));
  const users = volumeUsers(engine);
  return {
    ...measureImages(engine, containers),
    containers: containers.map((container, i) => ({ ...container, size: sizes[i]! })),
    volumes: volumes.map((volume, i) => ({
      volume,
      sizeBytes: volumeSizes[i] ?? 0,
      users: users.get(volume.name)?.length ?? 0,
    })),
  };
}

function measureImages(
  engine: Engine,
  containers: readonly Container[],
): { images: ImageUsage[]; imageBytes: number } {
  const { store } = engine;
  const parts = new Map<string, number>(listBlobs(store).map((digest) => [digest, blobSize(store, digest) ?? 0]));
  // a diff-id may be the digest of a blob as well: of a layer that came without compression
  for (const [diffId, bytes] of shelfBytes(engine)) parts.set(`unpacked ${diffId}`, bytes);

  const { images } = listImages(store);
  const partsOf = new Map(images.map((image) => [image, namesOfParts(image)]));
  const owners = new Map<string, number>();
  for (const names of partsOf.values()) for (const name of names) owners.set(name, (owners.get(name) ?? 0) + 1);
  const sum = (names: Iterable<string>): number =>
    [...names].reduce((bytes, name) => bytes + (parts.get(name) ?? 0), 0);
  return {
    images: images.map((image) => {
      const names = partsOf.get(image)!;
      return {
        image,
        sizeBytes: sum(names),
        sharedBytes: sum([...names].filter((name) => owners.get(name)! > 1)),
        containers: containers.filter(({ record }) => record.imageId === image.id).length,
      };
    }),
    imageBytes: sum(parts.keys()),
  };
}

function namesOfParts(image: Image): Set<string> {
  return new Set([
    image.id,
    image.manifestDigest,
    ...image.layers.flatMap(({ digest, diffId }) => [digest, `unpacked ${diffId}`]),
  ]);
}
