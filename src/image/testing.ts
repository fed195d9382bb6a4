/** Help for tests: images of a few bytes, put into a store as a pull would. */

import { gzipSync, zstdCompressSync } from "node:zlib";
import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, hashBytes } from "#oci/digest.ts";
import { encodeImageConfig, type ImageConfig } from "#oci/image_config.ts";
import { encodeIndex, encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { parseReference } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { putBlob } from "#storage/ingest.ts";
import { type Lease, openLease } from "#storage/lease.ts";
import { craftTar } from "#tar/testing.ts";
import type { LayerShelf } from "./collect.ts";
import { publishImage } from "./publish.ts";

export const NOW = Date.parse("2026-06-01T00:00:00Z");

export type Compression = "none" | "gzip" | "zstd";

/** A layer with one file. */
export function makeLayer(name: string, content: string = name): { tar: Uint8Array; diffId: Digest } {
  const tar = craftTar([[name, "file", {}, content]]);
  return { tar, diffId: hashBytes(tar) };
}

export function compress(bytes: Uint8Array, compression: Compression): Uint8Array {
  return compression === "gzip" ? gzipSync(bytes) : compression === "zstd" ? zstdCompressSync(bytes) : bytes;
}

export type TestImage = {
  layers?: readonly string[];
  compression?: Compression;
  docker?: boolean;
  config?: Partial<ImageConfig>;
};

const LAYER_TYPES: Record<"oci" | "docker", Record<Compression, string>> = {
  oci: { none: MEDIA_TYPES.ociLayer, gzip: MEDIA_TYPES.ociLayerGzip, zstd: MEDIA_TYPES.ociLayerZstd },
  docker: { none: MEDIA_TYPES.dockerLayer, gzip: MEDIA_TYPES.dockerLayerGzip, zstd: MEDIA_TYPES.dockerLayerZstd },
};

/** Puts an image's blobs and manifest; names nothing. */
export async function putTestImage(
  lease: Lease,
  image: TestImage = {},
): Promise<{ target: Descriptor; id: Digest; config: ImageConfig }> {
  const { layers = ["a"], compression = "gzip", docker = false } = image;
  const kind = docker ? "docker" : "oci";
  const made = layers.map((name) => makeLayer(name));
  const descriptors: Descriptor[] = [];
  for (const { tar } of made) {
    descriptors.push({
      mediaType: LAYER_TYPES[kind][compression],
      ...await putBlob(lease, compress(tar, compression)),
    });
  }
  const config: ImageConfig = {
    architecture: "amd64",
    os: "linux",
    created: "2026-01-01T00:00:00Z",
    config: { Cmd: ["/bin/sh"] },
    diffIds: made.map(({ diffId }) => diffId),
    history: layers.map((name) => ({ created: "2026-01-01T00:00:00Z", created_by: `ADD ${name}` })),
    ...image.config,
  };
  const stored = await putBlob(lease, encodeImageConfig(config));
  const manifest = encodeManifest({
    mediaType: docker ? MEDIA_TYPES.dockerManifest : MEDIA_TYPES.ociManifest,
    config: { mediaType: docker ? MEDIA_TYPES.dockerConfig : MEDIA_TYPES.ociConfig, ...stored },
    layers: descriptors,
  });
  const mediaType = docker ? MEDIA_TYPES.dockerManifest : MEDIA_TYPES.ociManifest;
  return { target: { mediaType, ...await putBlob(lease, manifest) }, id: stored.digest, config };
}

/** Puts an index of targets. */
export async function putTestIndex(
  lease: Lease,
  manifests: readonly Descriptor[],
  docker = false,
): Promise<Descriptor> {
  const mediaType = docker ? MEDIA_TYPES.dockerIndex : MEDIA_TYPES.ociIndex;
  return { mediaType, ...await putBlob(lease, encodeIndex({ mediaType, manifests: [...manifests] })) };
}

/** Puts and names an image. */
export async function addTestImage(
  store: ContentStore,
  name: string | undefined,
  image: TestImage = {},
): Promise<{ target: Descriptor; id: Digest }> {
  using lease = openLease(store);
  const { target, id } = await putTestImage(lease, image);
  await nameTestTarget(lease, name, target);
  return { target, id };
}

export async function nameTestTarget(lease: Lease, name: string | undefined, target: Descriptor): Promise<void> {
  await publishImage(lease, { reference: name === undefined ? undefined : parseReference(name), target, nowMs: NOW });
}

/** Unpacked layers that are only names. */
export function makeTestShelf(
  diffIds: readonly Digest[],
  inUse: readonly Digest[] = [],
): LayerShelf & { left: Set<Digest> } {
  const left = new Set(diffIds);
  return {
    left,
    list: () => [...left],
    inUse: () => new Set(inUse),
    detach: (diffId) => left.delete(diffId) ? () => Promise.resolve(1000) : undefined,
  };
}
