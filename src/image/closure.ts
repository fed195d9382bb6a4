/**
 * What belongs to a manifest or an index: which images of it are all there, and which blobs they are made of.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import {
  checkConfigType,
  checkLayerCount,
  configPlatform,
  type ImageConfig,
  parseImageConfig,
} from "#oci/image_config.ts";
import { LIMITS } from "#oci/limits.ts";
import { type Index, type Manifest, parseManifestDocument } from "#oci/manifest.ts";
import { isForeignLayerType } from "#oci/media_types.ts";
import { isUnknownPlatform, type Platform } from "#oci/platform.ts";
import { type ContentStore, hasBlob, readBlob } from "#storage/content.ts";

/** A layer of an image in the store. */
export type ImageLayer = {
  /** Of the blob, as it came. */
  readonly digest: Digest;
  /** Of the uncompressed archive. */
  readonly diffId: Digest;
  readonly mediaType: string;
  /** Of the blob. */
  readonly sizeBytes: number;
};

/** An image for one platform whose content is all there. */
export type ImageContent = {
  /** The digest of the config: the image id, the same here, in Docker and in podman. */
  readonly id: Digest;
  readonly manifestDigest: Digest;
  /** Of this image's manifest. */
  readonly descriptor: Descriptor;
  /** What names point to: the manifest, or the index that it was found in. */
  readonly target: Descriptor;
  readonly platform: Platform;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Lowest first. */
  readonly layers: readonly ImageLayer[];
  /** All its blobs, as they came: manifest, config, layers. */
  readonly sizeBytes: number;
  /** From the config, in milliseconds since 1970; undefined where it has none that can be read. */
  readonly createdMs: number | undefined;
};

/** What was found below a target. */
export type Closure = {
  readonly images: readonly ImageContent[];
  /** All blobs that belong to it, whether they are there or not; platforms that were never fetched are left out. */
  readonly blobs: ReadonlySet<Digest>;
  /** Manifests that are there while something of theirs is not, and what that is. */
  readonly incomplete: readonly { manifestDigest: Digest; missing: readonly Digest[]; problem: string }[];
  /** Images of an index that nobody asked for: their manifests are not there. */
  readonly absent: readonly Descriptor[];
};

/** A manifest or index below a target: read, absent, or beyond use. */
type Step =
  | { kind: "manifest"; descriptor: Descriptor; manifest: Manifest }
  | { kind: "index"; descriptor: Descriptor }
  | { kind: "absent"; descriptor: Descriptor; depth: number }
  | { kind: "damaged"; descriptor: Descriptor; error: DugoutError };

/** The documents below a target, each once, the target first. An index may hold indexes, three deep. */
function* walkDocuments(store: ContentStore, target: Descriptor): Generator<Step, void, undefined> {
  const seen = new Set<Digest>();
  const queue: { descriptor: Descriptor; depth: number }[] = [{ descriptor: target, depth: 0 }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { descriptor, depth } = next;
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    if (!hasBlob(store, descriptor.digest, descriptor.size)) {
      yield { kind: "absent", descriptor, depth };
      continue;
    }
    let step: Step;
    try {
      const document = readDocument(store, descriptor);
      if (document.kind === "manifest") step = { kind: "manifest", descriptor, manifest: document.manifest };
      else {
        if (depth >= LIMITS.indexDepth) throw tooDeep(descriptor.digest);
        for (const entry of document.index.manifests) queue.push({ descriptor: entry, depth: depth + 1 });
        step = { kind: "index", descriptor };
      }
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      step = { kind: "damaged", descriptor, error };
    }
    yield step;
  }
}

/** Whether an entry of an index says that it is no image but something about one (C-029). */
function isAttestation(descriptor: Descriptor): boolean {
  return descriptor.platform !== undefined && isUnknownPlatform(descriptor.platform);
}

/** The ids of the images below a target, without looking whether they are whole: for finding one among many. */
export function listIds(store: ContentStore, target: Descriptor): Digest[] {
  const ids: Digest[] = [];
  for (const step of walkDocuments(store, target)) {
    if (step.kind === "manifest" && !isAttestation(step.descriptor)) ids.push(step.manifest.config.digest);
  }
  return ids;
}

/**
 * Walks from a target down. An entry of platform unknown/unknown is no image (C-029); one whose manifest is not in the
 * store is a platform that nobody asked for.
 */
export function walkTarget(store: ContentStore, target: Descriptor): Closure {
  const images: ImageContent[] = [];
  const blobs = new Set<Digest>();
  const incomplete: { manifestDigest: Digest; missing: Digest[]; problem: string }[] = [];
  const absent: Descriptor[] = [];
  for (const step of walkDocuments(store, target)) {
    const { descriptor } = step;
    const manifestDigest = descriptor.digest;
    if (step.kind === "absent") {
      if (step.depth > 0) {
        if (!isAttestation(descriptor)) absent.push(descriptor);
        continue;
      }
      blobs.add(manifestDigest);
      incomplete.push({ manifestDigest, missing: [manifestDigest], problem: "its manifest is not in the store" });
      continue;
    }
    blobs.add(manifestDigest);
    // damaged on disk: nothing can be said about what it points to
    if (step.kind === "damaged") incomplete.push({ manifestDigest, missing: [], problem: step.error.message });
    if (step.kind !== "manifest") continue;
    const { manifest } = step;
    for (const part of [manifest.config, ...manifest.layers]) blobs.add(part.digest);
    if (isAttestation(descriptor)) continue;
    const parts = [manifest.config, ...manifest.layers.filter((layer) => !isForeignLayerType(layer.mediaType))];
    const missing = parts.filter((part) => !hasBlob(store, part.digest, part.size)).map((part) => part.digest);
    if (missing.length > 0) {
      incomplete.push({ manifestDigest, missing, problem: `${missing.length} of its blobs are not in the store` });
      continue;
    }
    try {
      images.push(readImageContent(store, target, descriptor, manifest));
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      incomplete.push({ manifestDigest, missing: [], problem: error.message });
    }
  }
  return { images, blobs, incomplete, absent };
}

function tooDeep(digest: Digest): DugoutError {
  return new DugoutError(
    "INDEX_TOO_DEEP",
    `Cannot use the index "${digest}": indexes are nested more than ${LIMITS.indexDepth} deep`,
  );
}

/** Reads a manifest or index of the store. */
export function readDocument(
  store: ContentStore,
  descriptor: Descriptor,
): { kind: "manifest"; manifest: Manifest } | { kind: "index"; index: Index } {
  const bytes = readBlob(store, descriptor.digest, { maxBytes: LIMITS.manifestBytes });
  return parseManifestDocument(bytes, `the manifest "${descriptor.digest}"`, descriptor.mediaType);
}

/**
 * Reads the image of a manifest whose blobs are there.
 * @throws {DugoutError} NOT_AN_IMAGE, LAYERS_MISMATCH, CONFIG_INVALID, DIGEST_MISMATCH.
 */
export function readImageContent(
  store: ContentStore,
  target: Descriptor,
  descriptor: Descriptor,
  manifest: Manifest,
): ImageContent {
  const what = `the image "${descriptor.digest}"`;
  checkConfigType(manifest, what);
  const config = parseImageConfig(readBlob(store, manifest.config.digest, { maxBytes: LIMITS.configBytes }), what);
  checkLayerCount(manifest, config, what);
  const layers = manifest.layers.map((layer, at): ImageLayer => ({
    digest: layer.digest,
    diffId: config.diffIds[at]!,
    mediaType: layer.mediaType,
    sizeBytes: layer.size,
  }));
  const createdMs = config.created === undefined ? NaN : Date.parse(config.created);
  return {
    id: manifest.config.digest,
    manifestDigest: descriptor.digest,
    descriptor,
    target,
    platform: configPlatform(config),
    manifest,
    config,
    layers,
    sizeBytes: sumSizes([descriptor, manifest.config, ...manifest.layers]),
    createdMs: Number.isNaN(createdMs) ? undefined : createdMs,
  };
}

/** The bytes of blobs, each counted once however often it occurs (C-129). */
function sumSizes(descriptors: readonly Descriptor[]): number {
  const sizes = new Map(descriptors.map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
