/**
 * `import`: an image of one layer from the archive of a file system.
 *
 * @module
 */
import { createDigester, type Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeImageConfig } from "#oci/image_config.ts";
import { encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import type { Platform } from "#oci/platform.ts";
import type { Reference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { type Compression, decompress } from "#storage/decompress.ts";
import { putBlob, StagedBlob } from "#storage/ingest.ts";
import { LayerError } from "#storage/layer_error.ts";
import { DEFAULT_LAYER_LIMITS, type LayerLimits, limitError } from "#storage/layer_limits.ts";
import { type Lease, openLease } from "#storage/lease.ts";
import { TarError } from "#tar/error.ts";
import { TarReader } from "#tar/reader.ts";
import { applyChanges } from "./change.ts";
import type { ImageContent } from "./closure.ts";
import { removeUnneeded } from "./collect.ts";
import { publishImage } from "./publish.ts";

export type ImportOptions = {
  nowMs: number;
  /** With a tag; undefined for an image that only has its id. */
  reference?: Reference | undefined;
  /** `-c`: Dockerfile instructions (change.ts). */
  changes?: readonly string[];
  /** `-m`: for the history. */
  message?: string | undefined;
  /** Where it comes from, for the history; "-" when absent. */
  origin?: string | undefined;
  /** What the image says that it is for. */
  platform: Platform;
  limits?: LayerLimits;
  signal?: AbortSignal;
};

const LAYER_TYPES: Readonly<Record<Compression, string>> = {
  none: MEDIA_TYPES.ociLayer,
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
};

/**
 * Makes an image of an archive that comes as a stream: plain, gzip or zstd tar, kept as it came. It is read through, so
 * that what is no archive is refused now and not at the first run.
 * @throws {DugoutError} CHANGE_INVALID before anything is read; REFERENCE_INVALID; IMPORT_INVALID when it is no archive;
 * LAYER_LIMIT; ENOSPC, EDQUOT; the signal's reason; what the source throws.
 */
export async function importImage(
  store: ContentStore,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImageContent> {
  const { platform, reference } = options;
  if (reference?.digest !== undefined) {
    throw new DugoutError(
      "REFERENCE_INVALID",
      `Cannot name an image ${
        quote(`${reference.path}@${reference.digest}`)
      }: a name that you give has a tag, not a digest`,
    );
  }
  const config = applyChanges({}, options.changes ?? []);
  const lease = openLease(store);
  try {
    const layer = await storeLayer(lease, source, options);
    const created = new Date(options.nowMs).toISOString();
    const stored = await putBlob(
      lease,
      encodeImageConfig({
        architecture: platform.architecture,
        os: platform.os,
        ...(platform.variant === undefined ? {} : { variant: platform.variant }),
        created,
        config,
        diffIds: [layer.diffId],
        history: [{ created, comment: options.message ?? `Imported from ${options.origin ?? "-"}` }],
      }),
      "the config",
    );
    const manifest = await putBlob(
      lease,
      encodeManifest({
        mediaType: MEDIA_TYPES.ociManifest,
        config: { mediaType: MEDIA_TYPES.ociConfig, ...stored },
        layers: [{ mediaType: LAYER_TYPES[layer.compression], digest: layer.digest, size: layer.size }],
      }),
      "the manifest",
    );
    const target = { mediaType: MEDIA_TYPES.ociManifest, ...manifest };
    const { images } = await publishImage(lease, { reference, target, nowMs: options.nowMs });
    return images[0]!;
  } catch (error) {
    lease[Symbol.dispose]();
    await removeUnneeded(store, lease.held, options.nowMs);
    throw error;
  } finally {
    lease[Symbol.dispose]();
  }
}

async function storeLayer(
  lease: Lease,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: ImportOptions,
): Promise<{ digest: Digest; size: number; diffId: Digest; compression: Compression }> {
  using staged = new StagedBlob(lease, "the archive");
  const digester = createDigester();
  const limits = options.limits ?? DEFAULT_LAYER_LIMITS;
  let entries = 0;
  const reader = new TarReader({
    entry: (entry) => {
      if (++entries > limits.maxEntries) {
        throw limitError("maxEntries", `it has more than ${limits.maxEntries} entries`);
      }
      if (entry.sizeBytes > limits.maxFileBytes) {
        throw limitError("maxFileBytes", `a file in it has ${entry.sizeBytes} bytes, more than ${limits.maxFileBytes}`);
      }
    },
    data: () => {},
    end: () => {},
  });
  async function* keep(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      staged.write(chunk);
      yield chunk;
    }
  }
  try {
    const { compression } = await decompress(
      keep(),
      (bytes) => {
        digester.update(bytes);
        reader.write(bytes);
      },
      limits,
      options.signal,
    );
    reader.finish();
    return { ...await staged.commit(), diffId: digester.finish(), compression };
  } catch (error) {
    if (!(error instanceof TarError || error instanceof LayerError)) throw error;
    const code = error.code === "LAYER_LIMIT" ? "LAYER_LIMIT" : "IMPORT_INVALID";
    const hint = error instanceof LayerError ? error.hint : undefined;
    throw new DugoutError(code, `Cannot import the archive: ${error.message}`, { cause: error, hint });
  }
}
