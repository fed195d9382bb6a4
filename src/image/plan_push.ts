/**
 * What has to be sent so that a registry has an image: the documents as they came, and the blobs that they name.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { LIMITS } from "#oci/limits.ts";
import type { Index, Manifest } from "#oci/manifest.ts";
import { isForeignLayerType } from "#oci/media_types.ts";
import type { Platform } from "#oci/platform.ts";
import { quote } from "#oci/text.ts";
import { type ContentStore, hasBlob } from "#storage/content.ts";
import { type ImageContent, readDocument, walkTarget } from "./closure.ts";
import { chooseImage, unknownImage } from "./find.ts";
import { problemOf } from "./list.ts";

/** A layer of what is pushed. */
export interface PushedLayer {
  descriptor: Descriptor;
  /** What users know it by: its diff-id, as in Docker, or the digest of the blob where it is no layer of an image. */
  label: Digest;
  /** It stays where its `urls` say it is (C-128). */
  isForeign: boolean;
}

export interface PushPlan {
  /** Each once, the topmost first, as Docker lists them. */
  layers: PushedLayer[];
  configs: Descriptor[];
  /** Manifests and indexes, each behind what it names; the last is what the name will point to. */
  documents: Descriptor[];
  /** Where an index stays behind: the platform of the one image that is sent. */
  only: Platform | undefined;
}

/** A document with all that is below it, each once, children first; undefined when something is not in the store. */
function walkWhole(
  store: ContentStore,
  target: Descriptor,
): { descriptor: Descriptor; document: { manifest: Manifest } | { index: Index } }[] | undefined {
  const found = new Map<Digest, { descriptor: Descriptor; document: { manifest: Manifest } | { index: Index } }>();
  const visit = (descriptor: Descriptor, depth: number): boolean => {
    if (found.has(descriptor.digest)) return true;
    if (depth > LIMITS.indexDepth || !hasBlob(store, descriptor.digest, descriptor.size)) return false;
    const document = readDocument(store, descriptor);
    const isWhole = document.kind === "index"
      ? document.index.manifests.every((entry) => visit(entry, depth + 1))
      : [document.manifest.config, ...document.manifest.layers].every((part) =>
        isForeignLayerType(part.mediaType) || hasBlob(store, part.digest, part.size)
      );
    if (isWhole) found.set(descriptor.digest, { descriptor, document });
    return isWhole;
  };
  return visit(target, 0) ? [...found.values()] : undefined;
}

function chooseOne(
  store: ContentStore,
  target: Descriptor,
  platform: Platform | undefined,
  name: string,
): ImageContent {
  const closure = walkTarget(store, target);
  if (closure.images.length === 0) {
    throw new DugoutError("IMAGE_DAMAGED", `Cannot push the image ${quote(name)}: ${problemOf(closure)}`, {
      hint: "Pull or load it again",
    });
  }
  const image = chooseImage(closure.images, platform);
  if (image === undefined) throw unknownImage(name, platform);
  return image;
}

/**
 * Plans the push of what a name points to: an index with all that it names when all of it is here; else, and when a platform is asked for, the
 * manifest of one image.
 * @param name For messages.
 * @throws {DugoutError} IMAGE_DAMAGED, IMAGE_UNKNOWN (not for that platform).
 */
export function planPush(
  store: ContentStore,
  target: Descriptor,
  platform: Platform | undefined,
  name: string,
): PushPlan {
  let whole = platform === undefined ? walkWhole(store, target) : undefined;
  const one = whole === undefined ? chooseOne(store, target, platform, name) : undefined;
  if (one !== undefined) whole = walkWhole(store, one.descriptor);
  if (whole === undefined) {
    throw new DugoutError("IMAGE_DAMAGED", `Cannot push the image ${quote(name)}: a part of it is gone`);
  }
  const diffIds = new Map(
    walkTarget(store, target).images.flatMap(({ layers }) => layers.map((layer) => [layer.digest, layer.diffId])),
  );
  const layers = new Map<Digest, PushedLayer>();
  const configs = new Map<Digest, Descriptor>();
  for (const { document } of whole) {
    if (!("manifest" in document)) continue;
    configs.set(document.manifest.config.digest, document.manifest.config);
    for (const descriptor of document.manifest.layers.toReversed()) {
      const { digest, mediaType } = descriptor;
      layers.set(digest, {
        descriptor,
        label: diffIds.get(digest) ?? digest,
        isForeign: isForeignLayerType(mediaType),
      });
    }
  }
  return {
    layers: [...layers.values()],
    configs: [...configs.values()],
    documents: whole.map(({ descriptor }) => descriptor),
    only: one === undefined || one.manifestDigest === target.digest ? undefined : one.platform,
  };
}
