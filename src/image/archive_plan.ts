/**
 * What an archive of images holds, member by member. See save.ts for its two forms.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, digestAlgorithm, hashBytes } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeIndex, encodeManifest, type Index, type Manifest } from "#oci/manifest.ts";
import { isForeignLayerType, MEDIA_TYPES } from "#oci/media_types.ts";
import { familiarReference, parseReference } from "#oci/reference.ts";
import { blobPath, blobSize, type ContentStore, hasBlob, streamBlob } from "#storage/content.ts";
import { decompress, detectCompression } from "#storage/decompress.ts";
import { StagedBlob } from "#storage/ingest.ts";
import { DEFAULT_LAYER_LIMITS } from "#storage/layer_limits.ts";
import { holdBlob, type Lease } from "#storage/lease.ts";
import { fromText } from "#tar/bytes.ts";
import { makeEntry } from "#tar/entry.ts";
import type { TarMemberSource } from "#tar/write.ts";
import { type ImageContent, readDocument, walkTarget } from "./closure.ts";
import { encodeDockerItems } from "./docker_archive.ts";
import { blobMember, CONTAINERD_NAME, REF_NAME } from "./member_source.ts";

/** `docker-archive` is also what Docker's own `save` writes. */
export type SaveFormat = "docker-archive" | "oci-archive";

const READ_BYTES = 1024 * 1024;

/** Where the bytes of a blob come from. */
type BlobSource = { kind: "store" } | { kind: "bytes"; bytes: Uint8Array } | { kind: "staged"; staged: StagedBlob };

/** What an archive is to hold of one target. */
export type ArchiveItem = {
  readonly target: Descriptor;
  /** Full names with tags; none for an image that was asked for by its id. */
  readonly names: readonly string[];
  readonly images: readonly ImageContent[];
  /** Not all images of the target that are in the store: then the target itself is not kept. */
  readonly isPart: boolean;
};

/** What goes into the archive, gathered image by image. Dispose of it when the archive is written. */
export class ArchivePlan {
  readonly #lease: Lease;
  readonly #signal: AbortSignal | undefined;
  /** The manifests that were made here. */
  readonly #manifests = new Map<Digest, Manifest>();
  readonly #blobs = new Map<Digest, { size: number; source: BlobSource }>();
  readonly #index: Descriptor[] = [];
  readonly #items: { config: string; tags: string[] | null; layers: string[] }[] = [];
  /** zstd layers by digest, as plain tar. */
  readonly #plain = new Map<Digest, Descriptor>();
  readonly #isDocker: boolean;

  constructor(lease: Lease, format: SaveFormat, signal?: AbortSignal) {
    this.#lease = lease;
    this.#isDocker = format === "docker-archive";
    this.#signal = signal;
  }

  /**
   * Adds a target.
   * @param shown The image that manifest.json has for it, where there are several: tags can lead to one only.
   */
  async add(wanted: ArchiveItem, shown: ImageContent): Promise<void> {
    const manifests = new Map<Digest, Descriptor>();
    for (const image of wanted.images) manifests.set(image.manifestDigest, await this.#addImage(image));
    const isUnchanged = [...manifests].every(([digest, descriptor]) => digest === descriptor.digest);
    const isTargetReadable = this.#isDocker || wanted.target.mediaType === MEDIA_TYPES.ociIndex ||
      wanted.target.mediaType === MEDIA_TYPES.ociManifest;
    let entries: Descriptor[];
    if (!wanted.isPart && isUnchanged && isTargetReadable) {
      await this.#addRest(wanted.target);
      entries = [wanted.target];
    } else if (wanted.images.length === 1) entries = [...manifests.values()];
    else {entries = [
        this.#addBytes(
          encodeIndex({ mediaType: MEDIA_TYPES.ociIndex, manifests: [...manifests.values()] }),
          MEDIA_TYPES.ociIndex,
        ),
      ];}
    for (const { mediaType, digest, size, platform } of entries) {
      this.#addEntries({ mediaType, digest, size, ...(platform === undefined ? {} : { platform }) }, wanted.names);
    }
    this.#addItem(manifests.get(shown.manifestDigest)!, wanted.names);
  }

  /** Adds the blobs of an image; returns its manifest as the archive has it. */
  async #addImage(image: ImageContent): Promise<Descriptor> {
    const { manifest } = image;
    await this.#addStored(manifest.config);
    const layers: Descriptor[] = [];
    for (const [at, layer] of manifest.layers.entries()) {
      layers.push(await this.#addLayer(layer, image.layers[at]!.diffId));
    }
    const isConverted = layers.some((layer, at) => layer.digest !== manifest.layers[at]!.digest);
    const isDockerType = manifest.mediaType === MEDIA_TYPES.dockerManifest;
    const platform = { platform: image.descriptor.platform ?? image.platform };
    if (!isConverted && !(isDockerType && !this.#isDocker)) {
      await this.#addStored(image.descriptor);
      const { mediaType, digest, size } = image.descriptor;
      return { mediaType, digest, size, ...platform };
    }
    const converted: Manifest = {
      ...manifest,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { ...manifest.config, mediaType: MEDIA_TYPES.ociConfig },
      layers: layers.map((layer) => ({ ...layer, mediaType: OCI_TYPES.get(layer.mediaType) ?? layer.mediaType })),
    };
    const descriptor = this.#addBytes(encodeManifest(converted), MEDIA_TYPES.ociManifest);
    this.#manifests.set(descriptor.digest, converted);
    return { ...descriptor, ...platform };
  }

  async #addLayer(layer: Descriptor, diffId: Digest): Promise<Descriptor> {
    const { store } = this.#lease;
    // a foreign layer need not be here; its descriptor stays (C-128)
    if (isForeignLayerType(layer.mediaType) && !hasBlob(store, layer.digest, layer.size)) return layer;
    if (!this.#isDocker || !isZstd(store, layer.digest)) {
      await this.#addStored(layer);
      return layer;
    }
    const known = this.#plain.get(layer.digest);
    if (known !== undefined) return known;
    const staged = new StagedBlob(this.#lease, `the layer "${layer.digest}" as plain tar`, digestAlgorithm(diffId));
    try {
      await decompress(
        streamBlob(store, layer.digest),
        (bytes) => staged.write(bytes),
        DEFAULT_LAYER_LIMITS,
        this.#signal,
      );
      if (staged.digest() !== diffId) {
        throw new DugoutError(
          "DIGEST_MISMATCH",
          `Cannot save the layer "${layer.digest}": its content is not the one of "${diffId}"`,
        );
      }
    } catch (error) {
      staged[Symbol.dispose]();
      throw error;
    }
    const plain: Descriptor = { mediaType: MEDIA_TYPES.ociLayer, digest: diffId, size: staged.size };
    if (this.#blobs.has(diffId)) staged[Symbol.dispose]();
    else this.#blobs.set(diffId, { size: staged.size, source: { kind: "staged", staged } });
    this.#plain.set(layer.digest, plain);
    return plain;
  }

  /** The target, the indexes below it, and what else of it is here, such as attestations: all as they came. */
  async #addRest(target: Descriptor): Promise<void> {
    for (const digest of walkTarget(this.#lease.store, target).blobs) {
      const size = blobSize(this.#lease.store, digest);
      if (size !== undefined) await this.#addStored({ digest, size });
    }
  }

  async #addStored({ digest, size }: { digest: Digest; size: number }): Promise<void> {
    if (this.#blobs.has(digest)) return;
    if (!await holdBlob(this.#lease, digest, size)) {
      throw new DugoutError("BLOB_UNKNOWN", `Cannot save the blob "${digest}": it is not in the store`, {
        hint: "Pull or load the image again",
      });
    }
    this.#blobs.set(digest, { size, source: { kind: "store" } });
  }

  #addBytes(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = hashBytes(bytes);
    this.#blobs.set(digest, { size: bytes.length, source: { kind: "bytes", bytes } });
    return { mediaType, digest, size: bytes.length };
  }

  /** One entry of index.json a name, or one without. */
  #addEntries(descriptor: Descriptor, names: readonly string[]): void {
    for (const name of names) {
      const { tag } = parseReference(name);
      // Docker's readers want the tag alone there, skopeo's and podman's the name in full
      const refName = this.#isDocker ? tag! : name;
      this.#index.push({ ...descriptor, annotations: new Map([[CONTAINERD_NAME, name], [REF_NAME, refName]]) });
    }
    if (names.length === 0) this.#index.push(descriptor);
  }

  #addItem(manifest: Descriptor, names: readonly string[]): void {
    const { config, layers } = this.#readManifest(manifest);
    this.#items.push({
      config: blobMember(config.digest),
      tags: names.length === 0 ? null : names.map((name) => familiarReference(parseReference(name))),
      layers: layers.map((layer) => blobMember(layer.digest)),
    });
  }

  #readManifest(descriptor: Descriptor): Manifest {
    const made = this.#manifests.get(descriptor.digest);
    if (made !== undefined) return made;
    const document = readDocument(this.#lease.store, descriptor);
    if (document.kind !== "manifest") throw new Error(`Not a manifest: ${descriptor.digest}`);
    return document.manifest;
  }

  /** The archive's members: documents first, so that a reader of the stream knows what it needs. */
  *members(): Generator<TarMemberSource> {
    const index: Index = { mediaType: MEDIA_TYPES.ociIndex, manifests: this.#index };
    yield makeFile("oci-layout", new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}'));
    yield makeFile("index.json", encodeIndex(index));
    if (this.#isDocker) yield makeFile("manifest.json", encodeDockerItems(this.#items));
    yield { entry: makeEntry(fromText("blobs"), "directory") };
    const algorithms = new Set([...this.#blobs.keys()].map(digestAlgorithm));
    for (const algorithm of algorithms) yield { entry: makeEntry(fromText(`blobs/${algorithm}`), "directory") };
    // small first, for the same reason
    const blobs = [...this.#blobs].sort(([, a], [, b]) => a.size - b.size);
    for (const [digest, { size, source }] of blobs) {
      const entry = makeEntry(fromText(blobMember(digest)), "file", { sizeBytes: size });
      if (source.kind === "bytes") yield { entry, content: [source.bytes] };
      else {yield {
          entry,
          content: source.kind === "store" ? streamBlob(this.#lease.store, digest) : readStaged(source.staged),
        };}
    }
  }

  [Symbol.dispose](): void {
    for (const { source } of this.#blobs.values()) if (source.kind === "staged") source.staged[Symbol.dispose]();
  }
}

/** Docker's types as OCI's: the content is the same. */
const OCI_TYPES: ReadonlyMap<string, string> = new Map([
  [MEDIA_TYPES.dockerLayer, MEDIA_TYPES.ociLayer],
  [MEDIA_TYPES.dockerLayerGzip, MEDIA_TYPES.ociLayerGzip],
  [MEDIA_TYPES.dockerLayerZstd, MEDIA_TYPES.ociLayerZstd],
  [MEDIA_TYPES.dockerForeignLayer, MEDIA_TYPES.ociForeignLayer],
  [MEDIA_TYPES.dockerForeignLayerGzip, MEDIA_TYPES.ociForeignLayerGzip],
]);

/** By its first bytes: the media type may be wrong (C-015). */
function isZstd(store: ContentStore, digest: Digest): boolean {
  const first = new Uint8Array(8);
  const fd = openSync(blobPath(store, digest), "r");
  try {
    readSync(fd, first, 0, first.length, 0);
  } finally {
    closeSync(fd);
  }
  return detectCompression(first) === "zstd";
}

async function* readStaged(staged: StagedBlob): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openSync(staged.path, "r");
  try {
    const buffer = new Uint8Array(READ_BYTES);
    for (let offset = 0;;) {
      const length = readSync(fd, buffer, 0, buffer.length, offset);
      if (length === 0) return;
      offset += length;
      yield buffer.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}

function makeFile(path: string, bytes: Uint8Array): TarMemberSource {
  return { entry: makeEntry(fromText(path), "file", { sizeBytes: bytes.length }), content: [bytes] };
}
