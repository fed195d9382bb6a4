/**
 * The unpacked layers of all id maps, as removal and lists see them.
 *
 * @module
 */
import { findGroup, isFrozen } from "#cgroup/find_group.ts";
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { LayerShelf } from "#image/collect.ts";
import type { ImageUser } from "#image/remove.ts";
import { type IdMap, parseMapName } from "#linux/idmap.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { listDirectory } from "#storage/content.ts";
import { hasLayer, layerPaths, listLayers, readLayerRecord, temporaryPath } from "#storage/layers.ts";
import { type ContainerRecord, listRecords } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { readState } from "../record/state.ts";
import { runInWorker } from "../worker.ts";

/** The layers that are unpacked, whatever their map. */
export function openLayerShelf(engine: Engine): LayerShelf {
  const folder = join(engine.dataRoot, "layers");
  return {
    list: () => [...new Set(listMaps(folder).flatMap(({ path }) => listLayers(path)))],
    inUse: () => new Set(listRecords(engine.dataRoot).records.flatMap(layersOf)),
    detach: (diffId) => {
      const taken = listMaps(folder).flatMap(({ map, path }) => {
        if (!hasLayer(path, diffId)) return [];
        const sizeBytes = readLayerRecord(path, diffId)?.sizeBytes ?? 0;
        const temporary = temporaryPath(path, diffId);
        renameSync(layerPaths(path, diffId).path, temporary);
        return [{ map, temporary, sizeBytes }];
      });
      if (taken.length === 0) return undefined;
      return async () => {
        let freedBytes = 0;
        for (const { map, temporary, sizeBytes } of taken) {
          await runInWorker(map, { kind: "removeTree", path: temporary });
          freedBytes += sizeBytes;
        }
        return freedBytes;
      };
    },
  };
}

/** The size of a layer's files, where it is unpacked for some map. */
export function unpackedBytes(engine: Engine, diffId: Digest): number | undefined {
  for (const { path } of listMaps(join(engine.dataRoot, "layers"))) {
    const record = hasLayer(path, diffId) ? readLayerRecord(path, diffId) : undefined;
    if (record !== undefined) return record.sizeBytes;
  }
  return undefined;
}

/** What all unpacked layers take, under all maps. */
export function shelfBytes(engine: Engine): Map<Digest, number> {
  const bytes = new Map<Digest, number>();
  for (const { path } of listMaps(join(engine.dataRoot, "layers"))) {
    for (const diffId of listLayers(path)) {
      bytes.set(diffId, (bytes.get(diffId) ?? 0) + (readLayerRecord(path, diffId)?.sizeBytes ?? 0));
    }
  }
  return bytes;
}

/** Removes what killed processes left of layers, under all maps. */
export async function sweepLayerStores(engine: Engine): Promise<void> {
  for (const { map, path } of listMaps(join(engine.dataRoot, "layers"))) {
    if (listDirectory(path).some((name) => name.endsWith(".tmp") || name.endsWith(".lock"))) {
      await runInWorker(map, { kind: "sweepLayers", layers: path });
    }
  }
}

/** The containers that were made from an image or mount it, running or not. */
export function containersOf(engine: Engine, imageId: Digest): ImageUser[] {
  return listRecords(engine.dataRoot).records
    .filter((record) => record.imageId === imageId || record.mountedImages.includes(imageId))
    .map(({ id }) => ({ id, isRunning: readState(engine, id) !== undefined }));
}

/** How many containers there are, and how many of them run. */
export function countContainers(engine: Engine): { all: number; running: number; paused: number } {
  const { records } = listRecords(engine.dataRoot);
  const states = records.flatMap(({ id }) => readState(engine, id) ?? []);
  const paused = states.filter(({ id, pid }) => isFrozen(findGroup(id, pid)?.path)).length;
  return { all: records.length, running: states.length - paused, paused };
}

/** The layers that a container lies on; of a directory (`--rootfs`), none. */
function layersOf({ lowers }: ContainerRecord): Digest[] {
  return lowers.map((hex) => `sha256:${hex}`).filter(isDigest);
}

/** The directories of layers, each with its map; what has another name is not ours. */
export function listMaps(folder: string): { map: IdMap; path: string }[] {
  return listDirectory(folder).flatMap((name) => {
    const map = parseMapName(name);
    return map === undefined ? [] : [{ map, path: join(folder, name) }];
  });
}
