/** The image that the processes of the simulation bring in: the same bytes in each of them. */

import { type Digest, hashBytes } from "#oci/digest.ts";
import type { Descriptor } from "#oci/descriptor.ts";
import { encodeImageConfig } from "#oci/image_config.ts";
import { encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { makeBytes } from "#storage/test_store.ts";

export type SimImage = {
  layers: Uint8Array[];
  config: Uint8Array;
  manifest: Uint8Array;
  target: Descriptor;
  id: Digest;
};

const LAYER_SIZES = [3_000_000, 70_000, 1_500_000];

export function makeSimImage(): SimImage {
  const layers = LAYER_SIZES.map((size, at) => makeBytes(size, at + 1));
  const descriptors = layers.map((bytes): Descriptor => ({
    mediaType: MEDIA_TYPES.ociLayer,
    digest: hashBytes(bytes),
    size: bytes.length,
  }));
  const config = encodeImageConfig({
    architecture: "amd64",
    os: "linux",
    config: {},
    diffIds: descriptors.map(({ digest }) => digest),
    history: [],
  });
  const id = hashBytes(config);
  const manifest = encodeManifest({
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: id, size: config.length },
    layers: descriptors,
  });
  const target = { mediaType: MEDIA_TYPES.ociManifest, digest: hashBytes(manifest), size: manifest.length };
  return { layers, config, manifest, target, id };
}
