/**
 * `load`: images from an archive or an image layout. Three forms, and mixtures of them, are read:
 *
 * - OCI image layout: `index.json`, `blobs/…` (image-spec, image-layout); indexes in indexes (C-029)
 * - Docker's: `manifest.json`, a config and layers at any path (docker 1.10 on, podman, skopeo, kaniko, bazel)
 * - both in one, as Docker writes since 25: then the layout says what the images are, and `manifest.json` their tags
 *
 * Config bytes are kept, so ids are the same as where the archive came from; manifests are kept where there are any.
 * Exactly the tags of the archive are given, each to its own image (C-032).
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, digestAlgorithm } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { checkLayerCount, configPlatform, parseImageConfig } from "#oci/image_config.ts";
import { LIMITS } from "#oci/limits.ts";
import { encodeManifest, type Manifest, parseManifestDocument } from "#oci/manifest.ts";
import { isConfigType, isForeignLayerType, isIndexType, isManifestType, MEDIA_TYPES } from "#oci/media_types.ts";
import { formatPlatform, isUnknownPlatform, type Platform, scorePlatform } from "#oci/platform.ts";
import { parseReference, type Reference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import type { ContentStore } from "#storage/content.ts";
import { detectCompression } from "#storage/decompress.ts";
import { putBlob } from "#storage/ingest.ts";
import { holdBlob, type Lease, openLease } from "#storage/lease.ts";
import { type ArchiveLimits, ArchiveMembers, DEFAULT_ARCHIVE_LIMITS } from "./archive_members.ts";
import type { ImageContent } from "./closure.ts";
import { removeUnneeded } from "./collect.ts";
import { type DockerItem, readDockerItems } from "./docker_archive.ts";
import { LayoutDirectory } from "./layout_directory.ts";
import { blobMember, CONTAINERD_NAME, type MemberSource, REF_NAME, type StoredMember } from "./member_source.ts";
import { publishImage } from "./publish.ts";

export type LoadOptions = {
  nowMs: number;
  /** Take only what is for this platform. */
  platform?: Platform;
  limits?: ArchiveLimits;
  signal?: AbortSignal;
};

/** One image that is there now. */
export type LoadedImage = {
  /** The names it has got; none when the archive had none for it: then its id is told (C-031). */
  readonly references: readonly Reference[];
  readonly image: ImageContent;
};

/**
 * Loads all images of an archive that comes as a stream: plain, gzip or zstd. It is read once, and not kept in memory.
 * @throws {DugoutError} ARCHIVE_INVALID, ARCHIVE_AMBIGUOUS, ARCHIVE_LIMIT, DIGEST_MISMATCH, ENOSPC …; then no image of it
 * was named, and nothing of it stays.
 */
export async function loadArchive(
  store: ContentStore,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: LoadOptions,
): Promise<LoadedImage[]> {
  return await withCleanLease(store, options, async (lease) => {
    using members = await ArchiveMembers.read(lease, source, options.limits ?? DEFAULT_ARCHIVE_LIMITS, options.signal);
    return await loadMembers(lease, members, options);
  });
}

/** Loads all images of an OCI image layout in a directory. */
export async function loadDirectory(store: ContentStore, path: string, options: LoadOptions): Promise<LoadedImage[]> {
  return await withCleanLease(
    store,
    options,
    (lease) => loadMembers(lease, new LayoutDirectory(lease, path, options.signal), options),
  );
}

/** Runs something that brings images in; when it fails, what it had stored goes again, unless it is somebody else's too. */
async function withCleanLease<T>(
  store: ContentStore,
  options: LoadOptions,
  run: (lease: Lease) => Promise<T>,
): Promise<T> {
  const lease = openLease(store);
  try {
    return await run(lease);
  } catch (error) {
    lease[Symbol.dispose]();
    await removeUnneeded(store, lease.held, options.nowMs);
    throw error;
  } finally {
    lease[Symbol.dispose]();
  }
}

/** An image that is in the store and is to be named. */
type Found = { target: Descriptor; references: Reference[]; manifestDigest: Digest; id: Digest };

async function loadMembers(lease: Lease, members: MemberSource, options: LoadOptions): Promise<LoadedImage[]> {
  const items = readDockerItems(members);
  const found = members.has("index.json") ? await storeLayout(lease, members, items ?? [], options) : [];
  const known = new Set(found.map(({ id }) => id));
  for (const item of items ?? []) {
    const added = await storeDockerItem(lease, members, item, known, options);
    if (added !== undefined) found.push(added);
  }
  if (found.length === 0) throw nothingToLoad(members, options);
  const loaded: LoadedImage[] = [];
  for (const { target, references, manifestDigest, id } of found) {
    const names = references.length === 0 ? [undefined] : references;
    let image: ImageContent | undefined;
    for (const reference of names) {
      const { images } = await publishImage(lease, { reference, target, nowMs: options.nowMs, manifestDigest });
      image = images.find((candidate) => candidate.id === id);
    }
    loaded.push({ references, image: image! });
  }
  return loaded;
}

function nothingToLoad(members: MemberSource, options: LoadOptions): DugoutError {
  if (members.has("index.json") || members.has("manifest.json")) {
    const wanted = options.platform === undefined ? "" : ` for the platform ${quote(formatPlatform(options.platform))}`;
    return new DugoutError("ARCHIVE_EMPTY", `Cannot load the archive: it holds no image${wanted}`);
  }
  if (members.has("repositories")) {
    return new DugoutError(
      "ARCHIVE_INVALID",
      "Cannot load the archive: it is in Docker's form of before 2016, without manifest.json",
      {
        hint: "Load it with an old Docker and save it again with a newer one",
      },
    );
  }
  return new DugoutError("ARCHIVE_INVALID", "Cannot load the archive: it has neither index.json nor manifest.json", {
    hint: 'If it is the content of a file system, make an image of it with "dugout import"',
  });
}

async function storeLayout(
  lease: Lease,
  members: MemberSource,
  items: readonly DockerItem[],
  options: LoadOptions,
): Promise<Found[]> {
  const bytes = members.read("index.json", LIMITS.manifestBytes)!;
  const document = parseManifestDocument(bytes, "the archive's index.json", MEDIA_TYPES.ociIndex);
  if (document.kind !== "index") throw new Error("A document of an index's type is no index");
  const found: Found[] = [];
  for (const descriptor of document.index.manifests) {
    if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType)) continue;
    if (descriptor.platform !== undefined && isUnknownPlatform(descriptor.platform)) continue;
    const images = await storeTarget(lease, members, descriptor, options);
    if (images.length === 0) continue;
    const target: Descriptor = { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size };
    const ids = new Set(images.map(({ id }) => id));
    const references = namesOf(descriptor, items.filter((item) => ids.has(item.id)));
    const same = found.find((other) => other.target.digest === target.digest);
    // one entry a name is how an OCI layout says that an image has two
    if (same !== undefined) {
      same.references.push(...references.filter((reference) => !hasReference(same.references, reference)));
    } else {for (const [at, image] of images.entries()) {
        found.push({ target, references: at === 0 ? references : [], ...image });
      }}
  }
  return found;
}

/** The tags of an entry: Docker's list has them in full; else the annotations, where a lone tag is no name. */
function namesOf(descriptor: Descriptor, items: readonly DockerItem[]): Reference[] {
  const full = descriptor.annotations?.get(CONTAINERD_NAME);
  if (full !== undefined) return [parseName(full)];
  if (items.length > 0) return items.flatMap((item) => item.references);
  const name = descriptor.annotations?.get(REF_NAME);
  if (name === undefined) return [];
  if (/[/:@]/.test(name)) {
    const reference = parseName(name);
    // a name by digest only says what the entry says anyway (C-033)
    return reference.digest === undefined ? [reference] : [];
  }
  // a bare word: podman reads it so
  return [parseName(`localhost/${name}`)];
}

function parseName(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    throw new DugoutError("ARCHIVE_INVALID", `Cannot load the archive: ${quote(text)} in it is no image name`, {
      cause: error,
    });
  }
}

function hasReference(references: readonly Reference[], wanted: Reference): boolean {
  return references.some(({ domain, path, tag }) =>
    domain === wanted.domain && path === wanted.path && tag === wanted.tag
  );
}

/** Stores a manifest or index and all that it leads to; returns the images that came. */
async function storeTarget(
  lease: Lease,
  members: MemberSource,
  target: Descriptor,
  options: LoadOptions,
): Promise<{ id: Digest; manifestDigest: Digest }[]> {
  const images: { id: Digest; manifestDigest: Digest }[] = [];
  const seen = new Set<Digest>();
  const queue = [{ descriptor: target, depth: 0 }];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { descriptor, depth } = next;
    if (seen.has(descriptor.digest)) continue;
    seen.add(descriptor.digest);
    const what = `the manifest "${descriptor.digest}" of the archive`;
    const path = blobMember(descriptor.digest);
    if (!members.has(path)) {
      // platforms that were not saved
      if (depth > 0) continue;
      throw missingMember(path);
    }
    const bytes = members.read(path, LIMITS.manifestBytes)!;
    checkSize(descriptor, bytes.length);
    const document = parseManifestDocument(bytes, what, descriptor.mediaType);
    if (document.kind === "index") {
      if (depth >= LIMITS.indexDepth) {
        throw new DugoutError(
          "INDEX_TOO_DEEP",
          `Cannot load the archive: its indexes are nested more than ${LIMITS.indexDepth} deep`,
        );
      }
      await members.store(path, descriptor.digest);
      for (const entry of document.index.manifests) {
        if (isIndexType(entry.mediaType) || isManifestType(entry.mediaType)) {
          queue.push({ descriptor: entry, depth: depth + 1 });
        }
      }
      continue;
    }
    const { manifest } = document;
    const isImage = isConfigType(manifest.config.mediaType) &&
      !(descriptor.platform !== undefined && isUnknownPlatform(descriptor.platform));
    if (!isImage && depth === 0) {
      throw new DugoutError(
        "NOT_AN_IMAGE",
        `Cannot load the archive: ${quote(descriptor.digest)} in it is not a container image (config type ${
          quote(manifest.config.mediaType)
        })`,
      );
    }
    if (isImage && !await fitsPlatform(members, manifest, options.platform)) continue;
    const isWhole = await storeManifest(lease, members, descriptor, manifest, isImage);
    if (isWhole && isImage) images.push({ id: manifest.config.digest, manifestDigest: descriptor.digest });
  }
  return images;
}

function fitsPlatform(members: MemberSource, manifest: Manifest, wanted: Platform | undefined): boolean {
  if (wanted === undefined) return true;
  const bytes = members.read(blobMember(manifest.config.digest), LIMITS.configBytes);
  return bytes !== undefined &&
    scorePlatform(wanted, configPlatform(parseImageConfig(bytes, "a config of the archive"))) > 0;
}

/**
 * Stores a manifest with its blobs. One whose layers are not in the archive is left out where it need not be there (a
 * platform of which only the manifest was saved, an attestation).
 */
async function storeManifest(
  lease: Lease,
  members: MemberSource,
  descriptor: Descriptor,
  manifest: Manifest,
  isImage: boolean,
): Promise<boolean> {
  const parts = [manifest.config, ...manifest.layers.filter((layer) => !isForeignLayerType(layer.mediaType))];
  for (const part of parts) {
    if (members.has(blobMember(part.digest)) || await holdBlob(lease, part.digest, part.size)) continue;
    if (!isImage || descriptor.platform !== undefined) return false;
    throw missingMember(blobMember(part.digest));
  }
  for (const part of [...parts, ...manifest.layers.filter((layer) => isForeignLayerType(layer.mediaType))]) {
    const stored = await members.store(blobMember(part.digest), part.digest);
    if (stored !== undefined) checkSize(part, stored.size);
  }
  await members.store(blobMember(descriptor.digest), descriptor.digest);
  return true;
}

function checkSize(descriptor: Descriptor, size: number): void {
  if (descriptor.size === size) return;
  throw new DugoutError(
    "SIZE_MISMATCH",
    `Cannot load the archive: the blob "${descriptor.digest}" has ${size} bytes, and its descriptor says ${descriptor.size}`,
  );
}

function missingMember(path: string): DugoutError {
  return new DugoutError(
    "ARCHIVE_INVALID",
    `Cannot load the archive: it has no member ${quote(path)}, which its index needs`,
  );
}

const LAYER_TYPES = {
  none: MEDIA_TYPES.ociLayer,
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
} as const;

/** Stores an image of Docker's list and makes a manifest for it; undefined when the layout had it, or for another platform. */
async function storeDockerItem(
  lease: Lease,
  members: MemberSource,
  item: DockerItem,
  known: ReadonlySet<Digest>,
  options: LoadOptions,
): Promise<Found | undefined> {
  if (known.has(item.id)) return undefined;
  const { config } = item;
  if (options.platform !== undefined && scorePlatform(options.platform, configPlatform(config)) === 0) return undefined;
  const missing = item.layers.find((path) => !members.has(path));
  if (missing !== undefined) throw missingMember(missing);
  const layers: Descriptor[] = [];
  for (const [at, path] of item.layers.entries()) {
    const stored = await members.store(path, undefined);
    layers.push(describeLayer(path, stored!, config.diffIds[at]));
  }
  const configBlob = await members.store(item.configPath, item.id);
  const manifest: Manifest = {
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: item.id, size: configBlob!.size },
    layers,
  };
  checkLayerCount(manifest, config, "an image of the archive");
  const target = {
    mediaType: MEDIA_TYPES.ociManifest,
    ...await putBlob(lease, encodeManifest(manifest), "a manifest"),
  };
  return { target, references: [...item.references], manifestDigest: target.digest, id: item.id };
}

function describeLayer(path: string, { digest, size, first }: StoredMember, diffId: Digest | undefined): Descriptor {
  const compression = detectCompression(first);
  if (compression === "none" && diffId !== undefined && digest !== diffId && digestAlgorithm(diffId) === "sha256") {
    throw new DugoutError(
      "DIGEST_MISMATCH",
      `Cannot load the archive: the layer ${quote(path)} has the digest "${digest}", and its config says "${diffId}"`,
    );
  }
  return { mediaType: LAYER_TYPES[compression], digest, size };
}
