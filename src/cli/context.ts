import type { Container } from "#engine/record/containers.ts";
import { type Engine, openEngine } from "#engine/engine.ts";
import { containersOf, openLayerShelf, unpackedBytes } from "#engine/store/layer_shelf.ts";
import { sweepContainers } from "#engine/life/sweep.ts";
import type { LayerShelf } from "#image/collect.ts";
import type { ImageUser } from "#image/remove.ts";
import type { Digest } from "#oci/digest.ts";
import { escapeText } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import type { GlobalOptions } from "./invocation.ts";
import { printError } from "./output.ts";

/** What commands on images work with. */
export interface ImageContext {
  engine: Engine;
  store: ContentStore;
  /** The unpacked size of a layer, where it is known. */
  layerBytes: (diffId: Digest) => number | undefined;
  shelf: LayerShelf;
  /** The containers that were made from an image. */
  usersOf: (imageId: Digest) => readonly ImageUser[];
}

/** Opens the engine that the global options name. @throws {DugoutError} When it cannot be used. */
export function openImageContext(global: GlobalOptions): ImageContext {
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  return {
    engine,
    store: engine.store,
    layerBytes: (diffId) => unpackedBytes(engine, diffId),
    shelf: openLayerShelf(engine),
    usersOf: (imageId) => containersOf(engine, imageId),
  };
}

/**
 * Opens the engine for commands on containers and volumes; what killed commands left of containers goes first (C-081).
 * @throws {DugoutError} When it cannot be used.
 */
export async function openContainerContext(global: GlobalOptions): Promise<Engine> {
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  await sweepContainers(engine);
  return engine;
}

/** The same with all containers, which are read once. */
export async function openContainerListing(
  global: GlobalOptions,
): Promise<{ engine: Engine; containers: Container[]; damaged: string[] }> {
  const engine = openEngine({ ...global, warn: (message) => warn(global, message) });
  return { engine, ...await sweepContainers(engine) };
}

/** One line of warning, unless `--log-level` asks for less. */
export function warn(global: GlobalOptions, message: string): void {
  if (global.logLevel === "error" || global.logLevel === "fatal") return;
  printError(`dugout: warning: ${escapeText(message, 2000)}\n`);
}
