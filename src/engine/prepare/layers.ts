/**
 * Layers on this machine's disk, unpacked for an id map.
 *
 * @module
 */
import { type IdMap, isSingle, mapName } from "#linux/idmap.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import type { ImageContent } from "#image/closure.ts";
import type { Unpacker } from "#image/pull.ts";
import { blobPath } from "#storage/content.ts";
import type { LayerLimits } from "#storage/layer_limits.ts";
import { hasLayer, layerPaths, type LayersPath, openLayers } from "#storage/layers.ts";
import { needsSettling } from "#storage/settle.ts";
import type { RootfsPlan } from "#runtime/setup.ts";
import type { Engine } from "../engine.ts";
import { userPlaces } from "../paths.ts";
import type { RootSource } from "./prepare.ts";
import { runInWorker } from "../worker.ts";
import { WorkerPool } from "../worker_pool.ts";

/** The layers of an id map. */
export interface LayerStore {
  readonly engine: Engine;
  readonly map: IdMap;
  readonly path: LayersPath;
}

/** Opens the layers of an id map. */
export function openLayerStore(engine: Engine, map: IdMap): LayerStore {
  return { engine, map, path: openLayers(engine.dataRoot, mapName(map)) };
}

/** Whether a layer is unpacked. */
export function isUnpacked(layers: LayerStore, diffId: Digest): boolean {
  return hasLayer(layers.path, diffId);
}

/** Layers that are unpacked at once: there are two processors to count on. */
const AT_ONCE = 2;

/** Opens workers that unpack blobs that are in the store. A layer that another process is at is waited for. */
export function openUnpacker({ engine, map, path }: LayerStore, layers: number): Unpacker {
  const pool = new WorkerPool(map);
  pool.warmUp(Math.min(layers, AT_ONCE));
  let limits: Promise<LayerLimits> | undefined;
  return {
    async unpack({ diffId, blobPath }, onProgress, signal) {
      const ownership = isSingle(map) ? "single" : "mapped";
      limits ??= readLimits(engine);
      const plan = { kind: "unpack", layers: path, diffId, blob: blobPath, ownership, limits: await limits } as const;
      const { warnings } = await pool.run(plan, { onProgress, signal });
      warnings.forEach(engine.warn);
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

/** The user's limits on layers, read when the first one comes: most starts unpack none. */
async function readLimits(engine: Engine): Promise<LayerLimits> {
  const { loadLayerLimits } = await import("#image/layer_limits_conf.ts");
  return await loadLayerLimits(userPlaces(engine));
}

/**
 * Unpacks what is missing of an image's layers.
 * @returns Their directories, topmost first, each once.
 */
export async function ensureLayers(layers: LayerStore, image: ImageContent): Promise<string[]> {
  const missing = new Map(
    image.layers.filter(({ diffId }) => !isUnpacked(layers, diffId)).map((layer) => [layer.diffId, layer]),
  );
  if (missing.size > 0) await unpackAll(layers, [...missing.values()]);
  const diffIds = image.layers.map(({ diffId }) => diffId).reverse();
  if (needsSettling(layers.path, diffIds)) {
    await runInWorker(layers.map, { kind: "settle", layers: layers.path, diffIds });
  }
  return [...new Set(diffIds)].map((diffId) => layerPaths(layers.path, diffId).diff);
}

async function unpackAll(layers: LayerStore, queue: ImageContent["layers"][number][]): Promise<void> {
  await using unpacker = openUnpacker(layers, queue.length);
  const work = async () => {
    for (let layer = queue.shift(); layer !== undefined; layer = queue.shift()) {
      await unpacker.unpack({ blobPath: blobPath(layers.engine.store, layer.digest), diffId: layer.diffId });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Refuses an image without layers: there is nothing to run. */
export function checkHasLayers(image: ImageContent, name: string): void {
  if (image.layers.length === 0) {
    throw new DugoutError("NO_LAYERS", `Cannot run "${name}": the image has no layers, and so no program`);
  }
}

/** Copies layers to where a container's root is to be: what the vfs driver has in place of a mount. */
export async function copyLayers(source: NonNullable<RootSource["copyOf"]>, rootfs: RootfsPlan): Promise<void> {
  if (rootfs.kind !== "directory") throw new Error(`Layers are copied for a directory, got ${rootfs.kind}`);
  const { layers, map, diffIds } = source;
  await runInWorker(map, { kind: "vfsRoot", layers, diffIds: [...diffIds], target: rootfs.path });
}
