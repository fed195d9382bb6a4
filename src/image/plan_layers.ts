import type { Descriptor } from "#oci/descriptor.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { checkLayerCount, type ImageConfig } from "#oci/image_config.ts";
import type { Manifest } from "#oci/manifest.ts";
import { isForeignLayerType, isLayerType } from "#oci/media_types.ts";
import { quote } from "#oci/text.ts";

/** A layer to fetch and to unpack. */
export interface PlannedLayer {
  descriptor: Descriptor;
  /** Of the uncompressed archive. */
  diffId: Digest;
  /** Where it stands in the image, lowest is 0; the first place, if it occurs several times. */
  index: number;
  /** Whether registries may lack it, and the manifest gives addresses (C-128). */
  isForeign: boolean;
}

/**
 * Plans which layers a pull has to look after: each digest once, however often it occurs (C-129). Nothing is read or fetched.
 * @returns In the order of the image, lowest first.
 * @throws {DugoutError} LAYERS_MISMATCH, MEDIA_TYPE_UNKNOWN.
 */
export function planLayers(manifest: Manifest, config: ImageConfig, what: string): PlannedLayer[] {
  checkLayerCount(manifest, config, what);
  const planned = new Map<Digest, PlannedLayer>();
  for (const [index, descriptor] of manifest.layers.entries()) {
    const diffId = config.diffIds[index];
    if (diffId === undefined) throw new Error(`layer ${index} has no diff-id although the counts agree`);
    if (!isLayerType(descriptor.mediaType)) {
      const isEncrypted = descriptor.mediaType.includes("+encrypted");
      throw new DugoutError(
        "MEDIA_TYPE_UNKNOWN",
        `Cannot use ${what}: its layer ${index + 1} is of type ${quote(descriptor.mediaType)}`,
        {
          hint: isEncrypted
            ? "Encrypted layers are not supported"
            : "Layers of file systems are tar archives, plain or compressed with gzip or zstd",
        },
      );
    }
    const before = planned.get(descriptor.digest);
    if (before === undefined) {
      planned.set(descriptor.digest, {
        descriptor,
        diffId,
        index,
        isForeign: isForeignLayerType(descriptor.mediaType),
      });
    } else if (before.diffId !== diffId || before.descriptor.size !== descriptor.size) {
      throw new DugoutError(
        "LAYERS_MISMATCH",
        `Cannot use ${what}: its layers ${before.index + 1} and ${
          index + 1
        } are one blob, but with different sizes or diff-ids`,
      );
    }
  }
  return [...planned.values()];
}
