import { join } from "node:path";
import { type Digest, isDigest } from "#oci/digest.ts";
import type { ContainerRecord } from "./container_record.ts";
import type { Engine } from "./engine.ts";
import { unpackedBytes } from "./layer_shelf.ts";
import { measureOwnTree } from "./remove_volumes.ts";

/** What a container's own files take, and those with the image's below them. */
export async function measureContainer(
  engine: Engine,
  record: ContainerRecord,
): Promise<{ ownBytes: number; allBytes: number }> {
  const ownBytes = await measureOwnTree(engine, join(engine.dataRoot, "containers", record.id, "upper"));
  const layers = record.lowers.map((hex) => `sha256:${hex}`).filter((text): text is Digest => isDigest(text));
  const below = layers.reduce((sum, diffId) => sum + (unpackedBytes(engine, diffId) ?? 0), 0);
  return { ownBytes, allBytes: ownBytes + below };
}
