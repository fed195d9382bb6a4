/**
 * The moment at which an image appears: all of it is there, then it gets its name (C-047).
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeIndex } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { formatReference, type Reference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import { putBlob } from "#storage/ingest.ts";
import type { Lease } from "#storage/lease.ts";
import { setName } from "#storage/names.ts";
import { type ImageContent, readDocument, walkTarget } from "./closure.ts";

export type PublishOptions = {
  /** With a tag or a digest, not both; undefined for an image that only has its id. */
  reference: Reference | undefined;
  /** The manifest, or the index, as it came. Its blobs are in the store and held by the lease. */
  target: Descriptor;
  nowMs: number;
  /** The manifest that must be whole; otherwise any of an index will do. */
  manifestDigest?: Digest;
  /** Whether a layer is unpacked; for callers that want it to be. Called under the store's lock. */
  hasLayer?: (diffId: Digest) => boolean;
};

/** An image cannot be named, since something of it is not there: fetch `missing` (blobs) and unpack `missingLayers`, and try again. */
export class IncompleteImageError extends DugoutError {
  override readonly name = "IncompleteImageError";
  readonly missing: readonly Digest[];
  readonly missingLayers: readonly Digest[];

  constructor(message: string, missing: readonly Digest[], missingLayers: readonly Digest[]) {
    super("IMAGE_INCOMPLETE", message);
    this.missing = missing;
    this.missingLayers = missingLayers;
  }
}

/**
 * Names an image. Before this it is not in any list; after it, it is there whole.
 * @returns The images that the name now stands for, and what it stood for before, if that was something else.
 * @throws {IncompleteImageError} When a blob or layer is missing, for example since another process removed it before
 * this one held it.
 */
export async function publishImage(
  lease: Lease,
  options: PublishOptions,
): Promise<{ images: readonly ImageContent[]; displaced: Descriptor | undefined }> {
  const { store } = lease;
  const { target, manifestDigest, hasLayer } = options;
  const reference = options.reference === undefined ? undefined : formatReference(options.reference);
  if (options.reference?.tag !== undefined && options.reference.digest !== undefined) {
    throw new Error(`A name has a tag or a digest, not both: ${reference}`);
  }
  const layout = await makeLayoutTarget(lease, target);
  let images: readonly ImageContent[] = [];
  const check = () => {
    const closure = walkTarget(store, target);
    images = closure.images;
    const wanted = manifestDigest === undefined
      ? images[0]
      : images.find((image) => image.manifestDigest === manifestDigest);
    if (wanted === undefined) {
      const first = closure.incomplete.find((found) =>
        manifestDigest === undefined || found.manifestDigest === manifestDigest
      );
      const missing = first?.missing ?? [manifestDigest ?? target.digest];
      throw new IncompleteImageError(
        `Cannot name the image ${quote(reference ?? target.digest)}: ${first?.problem ?? "it holds no image"}`,
        missing,
        [],
      );
    }
    const missingLayers = hasLayer === undefined ? [] : wanted.config.diffIds.filter((diffId) => !hasLayer(diffId));
    if (missingLayers.length > 0) {
      throw new IncompleteImageError(
        `Cannot name the image ${
          quote(reference ?? target.digest)
        }: ${missingLayers.length} of its layers are not unpacked`,
        [],
        missingLayers,
      );
    }
  };
  const displaced = await setName(lease, { reference, target, layout, nowMs: options.nowMs, check });
  return { images, displaced };
}

/**
 * For a target of Docker's types, an OCI index that leads to the same manifests, for the readers of index.json (names.ts);
 * undefined where the target itself will do.
 */
export async function makeLayoutTarget(lease: Lease, target: Descriptor): Promise<Descriptor | undefined> {
  if (target.mediaType !== MEDIA_TYPES.dockerManifest && target.mediaType !== MEDIA_TYPES.dockerIndex) return undefined;
  const document = readDocument(lease.store, target);
  let manifests: Descriptor[];
  if (document.kind === "index") manifests = document.index.manifests;
  else {
    const platform = walkTarget(lease.store, target).images[0]?.platform;
    const { mediaType, digest, size } = target;
    manifests = [{ mediaType, digest, size, ...(platform === undefined ? {} : { platform }) }];
  }
  const bytes = encodeIndex({ mediaType: MEDIA_TYPES.ociIndex, manifests });
  return { mediaType: MEDIA_TYPES.ociIndex, ...await putBlob(lease, bytes, "an index") };
}
