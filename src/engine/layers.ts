import * as fs from "node:fs";
import { join } from "node:path";
import { type IdMap, mapName } from "#linux/idmap.ts";
import { digestHex } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import type { ImageContent } from "#image/closure.ts";
import type { RootfsPlan } from "#runtime/setup.ts";
import type { ContainerDirectory } from "./container_directory.ts";
import type { Engine } from "./engine.ts";

/** The directory of an unpacked layer. */
export function layerDirectory(engine: Engine, map: IdMap, diffId: ImageContent["layers"][number]["diffId"]): string {
  return join(engine.dataRoot, "layers", mapName(map), digestHex(diffId), "diff");
}

/** Unpacks the layers of an image that are not unpacked yet, and plans the root file system over them. */
export async function ensureLayers(
  engine: Engine,
  image: ImageContent,
  map: IdMap,
  directory: ContainerDirectory,
  volatile: boolean,
): Promise<{ lowers: string[]; rootfs: RootfsPlan }> {
  const lowers = image.layers.map(({ diffId }) => layerDirectory(engine, map, diffId)).reverse();
  for (const path of lowers) {
    if (!fs.existsSync(path)) throw new DugoutError("LAYER_MISSING", `Layer is not unpacked: ${path}`);
  }
  await Promise.resolve();
  return {
    lowers,
    rootfs: {
      kind: "overlay",
      lowers,
      upper: directory.upper,
      work: directory.work,
      merged: directory.merged,
      volatile,
    },
  };
}
