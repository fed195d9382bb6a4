import { join } from "node:path";
import { type Digest, isDigest } from "#oci/digest.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { unpackedBytes } from "./layer_shelf.ts";
import { measureOwnTrees } from "../own_trees.ts";

/** What a container's own files take, and those with the image's below them. */
export interface ContainerSize {
  readonly ownBytes: number;
  readonly allBytes: number;
}

/** Measures containers, in their order; one process looks at all of them. */
export async function measureContainers(
  engine: Engine,
  records: readonly ContainerRecord[],
): Promise<ContainerSize[]> {
  const paths = records.map(({ id }) => join(engine.dataRoot, "containers", id, "upper"));
  const sizesBytes = await measureOwnTrees(engine, paths);
  const layerBytes = new Map<string, number>();
  const sizeOf = (hex: string): number => {
    const diffId = `sha256:${hex}`;
    const known = layerBytes.get(hex);
    if (known !== undefined) return known;
    const bytes = isDigest(diffId) ? unpackedBytes(engine, diffId as Digest) ?? 0 : 0;
    layerBytes.set(hex, bytes);
    return bytes;
  };
  return records.map(({ lowers }, i) => {
    const ownBytes = sizesBytes[i] ?? 0;
    return { ownBytes, allBytes: lowers.reduce((sum, hex) => sum + sizeOf(hex), ownBytes) };
  });
}
