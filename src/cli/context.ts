import { dataRootPath } from "#engine/paths.ts";
import type { Digest } from "#oci/digest.ts";
import { escapeText } from "#oci/text.ts";
import { type LayerShelf, NO_LAYERS } from "#image/collect.ts";
import type { ImageUser } from "#image/remove.ts";
import { type ContentStore, openContentStore } from "#storage/content.ts";
import type { GlobalOptions } from "./invocation.ts";
import { printError } from "./output.ts";

/** What commands on images work with. */
export interface ImageContext {
  store: ContentStore;
  /** The unpacked size of a layer, where it is known. */
  layerBytes: (diffId: Digest) => number | undefined;
  shelf: LayerShelf;
  /** The containers that were made from an image. */
  usersOf: (imageId: Digest) => readonly ImageUser[];
}

/** Opens the store that the global options name. @throws {DugoutError} When it cannot be used. */
export function openImageContext(global: GlobalOptions): ImageContext {
  const root = dataRootPath({ root: global.root, run: global.run, env: process.env, uid: process.getuid?.() ?? 0 });
  return {
    store: openContentStore(root),
    layerBytes: () => undefined,
    shelf: NO_LAYERS,
    usersOf: () => [],
  };
}

/** One line of warning, unless `--log-level` asks for less. */
export function warn(global: GlobalOptions, message: string): void {
  if (global.logLevel === "error" || global.logLevel === "fatal") return;
  printError(`dugout: warning: ${escapeText(message, 2000)}\n`);
}
