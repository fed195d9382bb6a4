import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, digestAlgorithm } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { configPlatform, type ImageConfig, parseImageConfig } from "#oci/image_config.ts";
import { LIMITS } from "#oci/limits.ts";
import { formatPlatform, hostPlatform, type Platform, scorePlatform } from "#oci/platform.ts";
import { familiarReference, formatReference, parseTypedReference, type Reference } from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import { blobPath, type ContentStore, readBlob } from "#storage/content.ts";
import { openIngest, putBlob } from "#storage/ingest.ts";
import { holdBlob, holdDigest, type Lease, openLease } from "#storage/lease.ts";
import { readName } from "#storage/names.ts";
import { type ImageContent } from "./closure.ts";
import { fetchLayerBlob, type LayerSources } from "./fetch_blob.ts";
import { findImage, unknownImage } from "./find.ts";
import { ensureHelloImage } from "./hello/ensure.ts";
import { HELLO_REFERENCE, isHelloName } from "./hello/name.ts";
import { createLimiter } from "./limiter.ts";
import { planLayers, type PlannedLayer } from "./plan_layers.ts";
import { IncompleteImageError, publishImage } from "./publish.ts";
import type { RegistryAccess } from "./registry/access.ts";
import { fetchSmallBlob } from "./registry/blob_request.ts";
import type { Endpoint } from "./registry/endpoint.ts";
import { hasCode, RegistryError } from "./registry/error.ts";
import { headManifest } from "./registry/manifest_request.ts";
import { type ResolvedImage, resolveImage } from "./registry/resolve.ts";
import { listTags } from "./registry/tags.ts";

/** When an image is asked for at its registry. */
export type PullPolicy = "always" | "missing" | "never" | "newer";

/** A layer whose blob is in the store, whole and verified. */
export interface ReadyLayer {
  blobPath: string;
  diffId: Digest;
}

/** What happens during a pull; layers are named by the digests of their blobs. */
export type PullEvent =
  /** A name begins; `repository` and `tag` as they are shown. */
  | { kind: "pulling"; reference: Reference }
  /** Its layers are known, lowest first. */
  | { kind: "layers"; layers: readonly Descriptor[] }
  | { kind: "exists"; digest: Digest }
  | { kind: "downloading"; digest: Digest; done: number; total: number }
  | { kind: "verifying"; digest: Digest }
  | { kind: "downloaded"; digest: Digest }
  | { kind: "extracting"; digest: Digest; done: number; total: number }
  | { kind: "complete"; digest: Digest }
  /** A line that the user should see. */
  | { kind: "notice"; line: string }
  | { kind: "pulled"; result: PullResult };

/** What unpacks the layers of an image while they come. */
export interface Unpacker extends AsyncDisposable {
  /** Unpacks a layer; called as soon as its blob is there, for several layers at once, and once for each diff-id. */
  unpack(
    layer: ReadyLayer,
    onProgress?: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<void>;
}

/** What a pull has to know of its surroundings. */
export interface PullHost {
  store: ContentStore;
  access: RegistryAccess;
  nowMs: () => number;
  /** Whether a layer is unpacked; undefined where nothing is unpacked (as for `save` of a foreign platform). */
  hasLayer?: ((diffId: Digest) => boolean) | undefined;
  /** Opens what unpacks this many layers of one image; undefined where nothing is unpacked. */
  openUnpacker?: ((missing: number) => Unpacker) | undefined;
  onEvent?: ((event: PullEvent) => void) | undefined;
}

export interface PullRequest {
  /** As typed. */
  name: string;
  platform?: Platform | undefined;
  signal?: AbortSignal | undefined;
}

export interface PullResult {
  /** The name under which it is stored. */
  reference: Reference;
  image: ImageContent;
  /** What the name points to: the digest that docker prints. */
  targetDigest: Digest;
  /** Whether the name pointed to something else before, or anything was fetched or unpacked. */
  isNew: boolean;
}

/** Layers that are downloaded, and unpacked, at once. */
const DOWNLOADS = 3;
const UNPACKS = 2;
/** Progress of one layer is told no more often. */
const PROGRESS_MS = 50;

/** The name under which an image is stored: with a tag or with a digest; a tag beside a digest says nothing more (as in Docker). */
export function storedReference(reference: Reference): Reference {
  const { domain, path, tag, digest } = reference;
  return digest === undefined ? { domain, path, ...(tag === undefined ? {} : { tag }) } : { domain, path, digest };
}

function wanted(reference: Reference): { tag: string } | { digest: Digest } {
  return reference.digest !== undefined ? { digest: reference.digest } : { tag: reference.tag ?? "latest" };
}

/** Keeps the documents that led to the image, as they came. */
async function storeDocuments(lease: Lease, resolved: ResolvedImage): Promise<void> {
  for (const { digest, bytes } of resolved.documents) {
    if (digestAlgorithm(digest) === "sha256") {
      await putBlob(lease, bytes, "a manifest");
      continue;
    }
    using ingest = await openIngest(lease, { digest, size: bytes.length });
    if (ingest === undefined) continue;
    ingest.restart();
    ingest.write(bytes);
    await ingest.commit();
  }
}

/** Gets the config into the store and parses it. */
async function fetchConfig(
  host: PullHost,
  lease: Lease,
  resolved: ResolvedImage,
  what: string,
  signal: AbortSignal,
): Promise<ImageConfig> {
  const { config } = resolved.manifest;
  const name = `the config of ${what}`;
  if (await holdBlob(lease, config.digest, config.size)) {
    try {
      return parseImageConfig(readBlob(host.store, config.digest, { maxBytes: LIMITS.configBytes }), name);
    } catch (error) {
      if (!hasCode(error, "DIGEST_MISMATCH", "BLOB_UNKNOWN")) throw error;
    }
  }
  const bytes = await fetchSmallBlob(host.access.client, resolved.endpoint, config, LIMITS.configBytes, name, signal);
  const parsed = parseImageConfig(bytes, name);
  using ingest = await openIngest(lease, { digest: config.digest, size: config.size }, { signal });
  if (ingest !== undefined) {
    ingest.restart();
    ingest.write(bytes);
    await ingest.commit();
  }
  return parsed;
}

/** Asks the places of an image in turn; the error of the last one, its own registry, is the one that counts. */
async function resolveAt(
  host: PullHost,
  reference: Reference,
  platform: Platform,
  signal: AbortSignal,
): Promise<ResolvedImage> {
  const endpoints = host.access.endpoints(reference);
  const what = quote(formatReference(reference));
  for (const [at, endpoint] of endpoints.entries()) {
    try {
      return await resolveImage(host.access.client, endpoint, wanted(reference), platform, what, signal);
    } catch (error) {
      if (at === endpoints.length - 1 || !(error instanceof DugoutError) || error.code === "ABORTED") throw error;
      if (error.code !== "NOT_FOUND") {
        host.onEvent?.({ kind: "notice", line: `${error.message}: asking the next place` });
      }
    }
  }
  throw new Error("an image has no place to be asked for");
}

function checkPlatform(
  host: PullHost,
  resolved: ResolvedImage,
  config: ImageConfig,
  asked: Platform | undefined,
  what: string,
): void {
  const made = configPlatform(config);
  // an index has been asked for the platform already; configs of some tools leave it out
  if (resolved.documents.length > 1 || made.architecture === "" || scorePlatform(asked ?? hostPlatform(), made) > 0) {
    return;
  }
  if (asked !== undefined) {
    throw new DugoutError(
      "PLATFORM_MISMATCH",
      `Cannot use ${what} for ${formatPlatform(asked)}: it is an image for ${formatPlatform(made)} alone`,
      {
        hint: "Leave out --platform to take it all the same",
      },
    );
  }
  host.onEvent?.({
    kind: "notice",
    line: `The image ${what} is for ${formatPlatform(made)}, this machine is ${formatPlatform(hostPlatform())}`,
  });
}

/** Tells of progress, but not of every packet. */
function createProgress(
  host: PullHost,
  kind: "downloading" | "extracting",
  digest: Digest,
  total: number,
): (done: number) => void {
  let toldMs = -Infinity;
  return (done) => {
    const now = performance.now();
    if (done < total && now - toldMs < PROGRESS_MS) return;
    toldMs = now;
    host.onEvent?.({ kind, digest, done, total });
  };
}

/**
 * Fetches and unpacks layers: three downloads at once, the largest first, each handed to the unpacker as soon as it is there. The first
 * failure ends all of them.
 * @returns Whether there was anything to do.
 */
async function playLayers(
  host: PullHost,
  lease: Lease,
  sources: LayerSources,
  layers: readonly PlannedLayer[],
  outer: AbortSignal | undefined,
): Promise<boolean> {
  const controller = new AbortController();
  const signal = outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]);
  const [download, unpack] = [createLimiter(DOWNLOADS, signal), createLimiter(UNPACKS, signal)];
  const missing = new Set(layers.map(({ diffId }) => diffId).filter((diffId) => host.hasLayer?.(diffId) !== true));
  await using unpacker = host.openUnpacker?.(missing.size);
  const unpacked = new Map<Digest, Promise<void>>();
  let isBusy = false;

  const unpackOnce = (layer: PlannedLayer): Promise<void> => {
    const { descriptor: { digest, size }, diffId } = layer;
    const before = unpacked.get(diffId);
    if (before !== undefined) return before;
    const work = unpack(async () => {
      if (unpacker === undefined || host.hasLayer?.(diffId) === true) return;
      isBusy = true;
      const progress = createProgress(host, "extracting", digest, size);
      progress(0);
      await unpacker.unpack({ blobPath: blobPath(host.store, digest), diffId }, progress, signal);
    });
    unpacked.set(diffId, work);
    return work;
  };
  const playLayer = async (layer: PlannedLayer): Promise<void> => {
    const { descriptor: { digest, size }, diffId } = layer;
    await holdDigest(lease, diffId);
    const isThere = await holdBlob(lease, digest, size);
    if (isThere && (unpacker === undefined || host.hasLayer?.(diffId) === true)) {
      host.onEvent?.({ kind: "exists", digest });
      return;
    }
    if (!isThere) {
      isBusy = true;
      const onWhole = () => host.onEvent?.({ kind: "verifying", digest });
      await download(() =>
        fetchLayerBlob(lease, sources, layer, {
          signal,
          onProgress: createProgress(host, "downloading", digest, size),
          onWhole,
        })
      );
    }
    host.onEvent?.({ kind: "downloaded", digest });
    await unpackOnce(layer);
    host.onEvent?.({ kind: "complete", digest });
  };

  let failure: { error: unknown } | undefined;
  // the largest first, so that no long one is left alone at the end
  const order = [...layers].sort((one, other) => other.descriptor.size - one.descriptor.size);
  await Promise.all(order.map((layer) =>
    playLayer(layer).catch((error) => {
      failure ??= { error };
      controller.abort(error);
    })
  ));
  if (failure !== undefined) throw failure.error;
  outer?.throwIfAborted();
  return isBusy;
}

/** Pulls one name. Nothing has the name before all of the image is there (C-047). */
async function pullReference(host: PullHost, reference: Reference, request: PullRequest): Promise<PullResult> {
  const { store, access, onEvent } = host;
  const stored = storedReference(reference);
  const what = quote(formatReference(reference));
  const platform = request.platform ?? hostPlatform();
  const signal = request.signal ?? new AbortController().signal;
  onEvent?.({ kind: "pulling", reference });
  using lease = openLease(store);
  const resolved = await resolveAt(host, reference, platform, signal);
  const before = readName(store, formatReference(stored));
  for (let round = 1;; round++) {
    await storeDocuments(lease, resolved);
    const config = await fetchConfig(host, lease, resolved, what, signal);
    checkPlatform(host, resolved, config, request.platform, what);
    const layers = planLayers(resolved.manifest, config, what);
    onEvent?.({ kind: "layers", layers: layers.map(({ descriptor }) => descriptor) });
    const endpoints = [
      resolved.endpoint,
      ...access.endpoints(reference).filter((endpoint) => !isSameEndpoint(endpoint, resolved.endpoint)),
    ];
    const sources = { client: access.client, endpoints, foreignLayerHosts: access.own.foreignLayerHosts };
    const isBusy = await playLayers(host, lease, sources, layers, request.signal);
    try {
      const { target, manifestDigest } = resolved;
      const hasLayer = host.openUnpacker === undefined ? undefined : host.hasLayer;
      const { images } = await publishImage(lease, {
        reference: stored,
        target,
        nowMs: host.nowMs(),
        manifestDigest,
        ...(hasLayer === undefined ? {} : { hasLayer }),
      });
      const image = images.find((found) => found.manifestDigest === manifestDigest);
      if (image === undefined) throw new Error(`the image ${what} has its name but is not there`);
      const result = {
        reference: stored,
        image,
        targetDigest: target.digest,
        isNew: isBusy || before?.target.digest !== target.digest,
      };
      onEvent?.({ kind: "pulled", result });
      return result;
    } catch (error) {
      // another process removed something in the moment before it was held: fetch that again
      if (!(error instanceof IncompleteImageError) || round >= 3) throw error;
    }
  }
}

function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.host === other.host && one.repository === other.repository;
}

/** Tries what a short name may mean, in order; the first that is there is it. */
async function tryCandidates<T>(
  candidates: readonly Reference[],
  run: (reference: Reference) => Promise<T>,
): Promise<T> {
  const problems: string[] = [];
  let failure: unknown;
  for (const reference of candidates) {
    try {
      return await run(reference);
    } catch (error) {
      failure = error;
      if (!(error instanceof RegistryError) || hasCode(error, "ABORTED", "BLOCKED")) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length < 2) throw failure;
  throw new DugoutError(
    "IMAGE_NOT_FOUND",
    `Cannot pull ${candidates.map((reference) => quote(formatReference(reference))).join(" or ")}: ${
      problems.join("; ")
    }`,
    {
      hint: "Write the name in full, with its registry",
      cause: failure,
    },
  );
}

/**
 * Pulls an image by a name as it was typed, from wherever the configuration says it is. Interrupted pulls are resumed by the next one, in
 * whatever process; several at once share their downloads.
 * @throws {RegistryError}; {DugoutError} of names, manifests and the disk (ENOSPC, EDQUOT).
 */
export async function pullImage(host: PullHost, request: PullRequest): Promise<PullResult> {
  if (isHelloName(request.name)) return await takeEmbedded(host, request);
  return await tryCandidates(host.access.expand(request.name), (reference) => pullReference(host, reference, request));
}

/** The embedded image is in our own file; no registry is asked for it. */
async function takeEmbedded(host: PullHost, { name, platform }: PullRequest): Promise<PullResult> {
  const isThere = findImage(host.store, name, { platform }) !== undefined;
  host.onEvent?.({ kind: "pulling", reference: HELLO_REFERENCE });
  await ensureHelloImage(host.store, { platform, nowMs: host.nowMs() });
  const found = findImage(host.store, formatReference(HELLO_REFERENCE), { platform });
  if (found === undefined) throw unknownImage(name, platform);
  const { image } = found;
  const result = { reference: HELLO_REFERENCE, image, targetDigest: image.target.digest, isNew: !isThere };
  host.onEvent?.({ kind: "pulled", result });
  return result;
}

/** What tags of a repository may be beside images: signatures, attestations, charts. */
const NO_IMAGE_CODES: readonly string[] = ["NOT_AN_IMAGE", "PLATFORM_UNKNOWN", "MANIFEST_SCHEMA1", "PLATFORM_MISMATCH"];

/**
 * Pulls all tags of a repository; those that are no image for the platform are left out with a notice.
 * @throws {DugoutError} REFERENCE_INVALID when the name has a tag or digest; as `pullImage`.
 */
export async function pullAllTags(host: PullHost, request: PullRequest): Promise<PullResult[]> {
  const typed = parseTypedReference(request.name);
  if (typed.tag !== undefined || typed.digest !== undefined) {
    throw new DugoutError("REFERENCE_INVALID", `Cannot pull all tags of ${quote(request.name)}: it names one`, {
      hint: "Leave out the tag",
    });
  }
  const { access } = host;
  return await tryCandidates(access.expand(typed), async (repository) => {
    const endpoint = access.endpoints(repository).at(-1);
    if (endpoint === undefined) throw new Error("a repository has no place to be asked for");
    const results: PullResult[] = [];
    let failure: unknown;
    for (const tag of await listTags(access.client, endpoint, request.signal)) {
      try {
        results.push(await pullReference(host, { domain: repository.domain, path: repository.path, tag }, request));
      } catch (error) {
        if (!(error instanceof DugoutError) || !hasCode(error, ...NO_IMAGE_CODES)) throw error;
        failure = error;
        host.onEvent?.({ kind: "notice", line: error.message });
      }
    }
    if (results.length === 0) {
      throw failure ?? new RegistryError("NOT_FOUND", `Cannot pull all tags of ${quote(request.name)}: it has none`);
    }
    return results;
  });
}

/** An image that is there, and what was done for it. */
export interface EnsuredImage {
  image: ImageContent;
  /** The name that led to it; undefined where an id did. */
  reference: string | undefined;
  /** What was pulled, if anything was. */
  pulled: PullResult | undefined;
}

/** Whether the registry has something else under the name than we have; false when it does not answer. */
async function isOutdated(host: PullHost, reference: Reference, signal: AbortSignal | undefined): Promise<boolean> {
  const stored = readName(host.store, formatReference(storedReference(reference)));
  if (stored === undefined || reference.digest !== undefined) return stored === undefined;
  const what = quote(formatReference(reference));
  for (const endpoint of host.access.endpoints(reference)) {
    try {
      const head = await headManifest(host.access.client, endpoint, reference.tag ?? "latest", what, signal);
      if (head !== undefined) return head.digest === undefined || head.digest !== stored.target.digest;
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === "ABORTED") throw error;
      host.onEvent?.({ kind: "notice", line: error.message });
    }
  }
  return false;
}

/**
 * Makes sure that an image is there, as `run`, `create` and `build` need it. `missing` asks no registry when it is there; `never` asks none at
 * all; `newer` asks whether the tag has moved and is content with what is there when nobody answers.
 * @param request `name` may be an id of an image that is there.
 * @throws {DugoutError} IMAGE_UNKNOWN for `never`; as `pullImage`.
 */
export async function ensureImage(host: PullHost, request: PullRequest, policy: PullPolicy): Promise<EnsuredImage> {
  const { name, platform } = request;
  const isName = !/^(sha256:)?[0-9a-f]{64}$/.test(name);
  const candidates = isName ? host.access.expand(name) : [];
  const found = policy === "always" && isName ? undefined : findImage(host.store, name, { platform, candidates });
  if (found !== undefined) {
    const first = candidates[0];
    const isCurrent = policy !== "newer" || first === undefined || found.reference === undefined ||
      !await isOutdated(host, first, request.signal);
    if (isCurrent) return { ...found, pulled: undefined };
  }
  if (policy === "never" || !isName) {
    const wish = platform === undefined ? "" : ` for ${formatPlatform(platform)}`;
    throw new DugoutError("IMAGE_UNKNOWN", `Cannot use the image ${quote(name)}${wish}: it is not in the store`, {
      hint: isName
        ? `Pull it with "dugout pull ${candidates[0] === undefined ? name : familiarReference(candidates[0])}"`
        : 'See "dugout images" for the ids that are there',
    });
  }
  const pulled = await pullImage(host, request);
  return { image: pulled.image, reference: formatReference(pulled.reference), pulled };
}
