/**
 * `commit`: an image of another one's layers and one more.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeImageConfig, type HistoryEntry, type RunConfig } from "#oci/image_config.ts";
import { encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import type { Reference } from "#oci/reference.ts";
import type { ContentStore } from "#storage/content.ts";
import { putBlob, StagedBlob } from "#storage/ingest.ts";
import { holdBlob, type Lease, openLease } from "#storage/lease.ts";
import type { ImageContent } from "./closure.ts";
import { removeUnneeded } from "./collect.ts";
import { publishImage } from "./publish.ts";

/** What the new image is to be. */
export type CommitOptions = {
  readonly base: ImageContent;
  readonly config: RunConfig;
  /** For the history: what ran, who says so, what about it. */
  readonly createdBy: string;
  readonly author: string | undefined;
  readonly comment: string | undefined;
  /** With a tag; undefined for an image that only has its id. */
  readonly reference: Reference | undefined;
  readonly nowMs: number;
  /** Writes the layer, a plain tar. @returns How many entries it has; without any there is no layer. */
  readonly writeLayer: (write: (bytes: Uint8Array) => void) => Promise<number>;
};

/**
 * Makes the image. Until it is named nothing of it shows; where it fails nothing of it stays.
 * @throws {DugoutError} REFERENCE_INVALID; IMAGE_INCOMPLETE when layers of the base are gone; ENOSPC, EDQUOT; what `writeLayer` throws.
 */
export async function commitImage(store: ContentStore, options: CommitOptions): Promise<ImageContent> {
  const { base, config, nowMs, reference, author } = options;
  if (reference?.digest !== undefined) {
    throw new DugoutError(
      "REFERENCE_INVALID",
      "Cannot name the new image so: a name that you give has a tag, not a digest",
      {
        exitCode: 1,
      },
    );
  }
  const lease = openLease(store);
  try {
    await holdBase(lease, base);
    const layer = await storeLayer(lease, options);
    const created = new Date(nowMs).toISOString();
    const step: HistoryEntry = {
      created,
      created_by: options.createdBy,
      ...(author === undefined ? {} : { author }),
      ...(options.comment === undefined ? {} : { comment: options.comment }),
      ...(layer === undefined ? { empty_layer: true } : {}),
    };
    const { architecture, os, variant, osVersion } = base.config;
    const stored = await putBlob(
      lease,
      encodeImageConfig({
        architecture,
        os,
        ...(variant === undefined ? {} : { variant }),
        ...(osVersion === undefined ? {} : { osVersion }),
        created,
        ...(author === undefined ? {} : { author }),
        config,
        // of a plain tar the digest is that of what is in it
        diffIds: [...base.config.diffIds, ...(layer === undefined ? [] : [layer.digest])],
        history: [...base.config.history, step],
      }),
      "the config",
    );
    const manifest = await putBlob(
      lease,
      encodeManifest({
        mediaType: MEDIA_TYPES.ociManifest,
        config: { mediaType: MEDIA_TYPES.ociConfig, ...stored },
        layers: [...base.manifest.layers.map(asOciLayer), ...(layer === undefined ? [] : [layer])],
      }),
      "the manifest",
    );
    const target = { mediaType: MEDIA_TYPES.ociManifest, ...manifest };
    const { images } = await publishImage(lease, { reference, target, nowMs });
    return images[0]!;
  } catch (error) {
    lease[Symbol.dispose]();
    await removeUnneeded(store, lease.held, nowMs);
    throw error;
  } finally {
    lease[Symbol.dispose]();
  }
}

async function holdBase(lease: Lease, base: ImageContent): Promise<void> {
  for (const { digest, size } of base.manifest.layers) {
    if (await holdBlob(lease, digest, size)) continue;
    throw new DugoutError("IMAGE_INCOMPLETE", `Cannot commit: the layer "${digest}" of the image is not in the store`, {
      exitCode: 1,
      hint: "pull or load the image again",
    });
  }
}

async function storeLayer(lease: Lease, { writeLayer }: CommitOptions): Promise<Descriptor | undefined> {
  using staged = new StagedBlob(lease, "the layer");
  const count = await writeLayer((bytes) => staged.write(bytes));
  return count === 0 ? undefined : { mediaType: MEDIA_TYPES.ociLayer, ...await staged.commit() };
}

/** The same bytes under OCI's name: a manifest holds layers of one family. */
const OCI_TYPES: ReadonlyMap<string, string> = new Map<string, string>([
  [MEDIA_TYPES.dockerLayer, MEDIA_TYPES.ociLayer],
  [MEDIA_TYPES.dockerLayerGzip, MEDIA_TYPES.ociLayerGzip],
  [MEDIA_TYPES.dockerLayerZstd, MEDIA_TYPES.ociLayerZstd],
  [MEDIA_TYPES.dockerForeignLayer, MEDIA_TYPES.ociForeignLayer],
  [MEDIA_TYPES.dockerForeignLayerGzip, MEDIA_TYPES.ociForeignLayerGzip],
]);

function asOciLayer(layer: Descriptor): Descriptor {
  return { ...layer, mediaType: OCI_TYPES.get(layer.mediaType) ?? layer.mediaType };
}
