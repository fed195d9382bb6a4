import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, digestAlgorithm } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { LIMITS } from "#oci/limits.ts";
import { formatPlatform, type Platform } from "#oci/platform.ts";
import {
  completeReference,
  formatReference,
  parseReference,
  parseTypedReference,
  type Reference,
  repositoryName,
} from "#oci/reference.ts";
import { quote } from "#oci/text.ts";
import { type ContentStore, readBlob, streamBlob } from "#storage/content.ts";
import { holdBlob, type Lease, openLease } from "#storage/lease.ts";
import { type ImageName, listNames, readName } from "#storage/names.ts";
import { walkTarget } from "./closure.ts";
import { createLimiter } from "./limiter.ts";
import { planPush, type PushedLayer, type PushPlan } from "./plan_push.ts";
import type { RegistryAccess } from "./registry/access.ts";
import type { Endpoint } from "./registry/endpoint.ts";
import { putManifest } from "./registry/manifest_request.ts";
import { uploadBlob } from "./registry/upload.ts";

/** What happens during a push; layers are named as in {@linkcode PushedLayer}. */
export type PushEvent =
  | { kind: "pushing"; reference: Reference }
  /** All layers, the topmost first. */
  | { kind: "layers"; labels: readonly Digest[] }
  | { kind: "sending"; label: Digest; done: number; total: number }
  | { kind: "exists"; label: Digest }
  | { kind: "mounted"; label: Digest; from: string }
  | { kind: "foreign"; label: Digest }
  | { kind: "sent"; label: Digest }
  /** A line that the user should see. */
  | { kind: "notice"; line: string }
  | { kind: "pushed"; result: PushResult };

export interface PushHost {
  store: ContentStore;
  access: RegistryAccess;
  onEvent?: ((event: PushEvent) => void) | undefined;
}

export interface PushRequest {
  /** As typed. */
  name: string;
  /** One image of an index, alone. */
  platform?: Platform | undefined;
  signal?: AbortSignal | undefined;
}

export interface PushResult {
  reference: Reference;
  /** What the name points to at the registry. */
  digest: Digest;
  /** Of that document, in bytes; docker prints it. */
  sizeBytes: number;
}

const UPLOADS = 3;

/** Where images of a name go: its own registry, never a mirror. */
function ownEndpoint(access: RegistryAccess, reference: Reference): Endpoint {
  const endpoint = access.endpoints(reference).at(-1);
  if (endpoint === undefined) throw new Error("an image has no place to be sent to");
  return endpoint;
}

/**
 * Repositories of the same registry that should have a blob, by the names that are here: whatever came from there or went there is named so.
 * Only a guess: the registry may know better (C-040).
 */
function findMountSources(store: ContentStore, reference: Reference): Map<Digest, string> {
  const sources = new Map<Digest, string>();
  for (const { reference: text, target } of listNames(store).names) {
    if (text === undefined) continue;
    const other = parseReference(text);
    if (other.domain !== reference.domain || other.path === reference.path) continue;
    for (const digest of walkTarget(store, target).blobs) sources.set(digest, other.path);
  }
  return sources;
}

async function hold(lease: Lease, { digest, size }: Descriptor, what: string): Promise<void> {
  if (await holdBlob(lease, digest, size)) return;
  throw new DugoutError("BLOB_UNKNOWN", `Cannot push ${what}: it is not in the store any more`, {
    hint: "Pull or load the image again",
  });
}

/** The blobs of a plan, several at once; the first failure ends all. */
async function sendBlobs(
  host: PushHost,
  lease: Lease,
  plan: PushPlan,
  reference: Reference,
  endpoint: Endpoint,
  outer: AbortSignal | undefined,
): Promise<void> {
  const { store, access, onEvent } = host;
  const controller = new AbortController();
  const signal = outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]);
  const limit = createLimiter(UPLOADS, signal);
  // a relocated registry has other repositories than the names say
  const isOwn = endpoint.host === reference.domain && endpoint.repository === reference.path;
  const sources = isOwn ? findMountSources(store, reference) : new Map<Digest, string>();

  const sendBlob = async (descriptor: Descriptor, what: string, onProgress?: (done: number) => void) => {
    const { digest } = descriptor;
    await hold(lease, descriptor, what);
    return await uploadBlob(access.client, endpoint, {
      descriptor,
      open: (offset) => streamBlob(store, digest, offset),
      mountFrom: sources.get(digest),
    }, { what, signal, onProgress });
  };
  const sendLayer = async ({ descriptor, label, isForeign }: PushedLayer) => {
    if (isForeign) return onEvent?.({ kind: "foreign", label });
    const outcome = await sendBlob(
      descriptor,
      `the layer "${descriptor.digest}"`,
      (done) => onEvent?.({ kind: "sending", label, done, total: descriptor.size }),
    );
    if (outcome === "mounted") onEvent?.({ kind: "mounted", label, from: sources.get(descriptor.digest) ?? "" });
    else onEvent?.({ kind: outcome === "exists" ? "exists" : "sent", label });
  };
  const work = [
    ...plan.layers.map((layer) => limit(() => sendLayer(layer))),
    ...plan.configs.map((config) => limit(() => sendBlob(config, `the config "${config.digest}"`))),
  ];
  let failure: { error: unknown } | undefined;
  for (const one of work) {
    one.catch((error) => {
      failure ??= { error };
      controller.abort();
    });
  }
  await Promise.allSettled(work);
  if (failure !== undefined) throw failure.error;
}

/** The documents of a plan, in order: those that others name by digest, the last one by its tag. */
async function sendDocuments(
  host: PushHost,
  lease: Lease,
  plan: PushPlan,
  tag: string,
  endpoint: Endpoint,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const last = plan.documents.at(-1);
  if (last === undefined) throw new Error("a plan has no document");
  for (const descriptor of plan.documents) {
    const { digest, mediaType } = descriptor;
    const what = `the manifest "${digest}"`;
    await hold(lease, descriptor, what);
    const bytes = readBlob(host.store, digest, { maxBytes: LIMITS.manifestBytes });
    // a tag cannot say which algorithm is meant
    const isByTag = descriptor === last && digestAlgorithm(digest) === "sha256";
    await putManifest(host.access.client, endpoint, isByTag ? tag : digest, { digest, mediaType, bytes }, what, signal);
    if (descriptor === last && !isByTag) {
      await putManifest(host.access.client, endpoint, tag, { digest, mediaType, bytes }, what, signal);
    }
  }
  return last;
}

async function pushName(
  host: PushHost,
  reference: Reference,
  name: ImageName,
  request: PushRequest,
): Promise<PushResult> {
  const { store, access, onEvent } = host;
  const { platform, signal } = request;
  const endpoint = ownEndpoint(access, reference);
  const text = formatReference(reference);
  const plan = planPush(store, name.target, platform, text);
  onEvent?.({ kind: "layers", labels: plan.layers.map(({ label }) => label) });
  using lease = openLease(store);
  await sendBlobs(host, lease, plan, reference, endpoint, signal);
  const sent = await sendDocuments(host, lease, plan, reference.tag ?? "latest", endpoint, signal);
  const result = { reference, digest: sent.digest, sizeBytes: sent.size };
  onEvent?.({ kind: "pushed", result });
  if (plan.only !== undefined) {
    onEvent?.({
      kind: "notice",
      line: `Not all platforms of ${quote(text)} were sent, only ${formatPlatform(plan.only)}: ` +
        `"${name.target.digest}" is "${sent.digest}" there`,
    });
  }
  return result;
}

/** What a typed name may mean, as for other commands: what the configuration says, then Docker's default. */
function candidatesOf(host: PushHost, name: string): Reference[] {
  const typed = parseTypedReference(name);
  if (typed.digest !== undefined) {
    throw new DugoutError("REFERENCE_INVALID", `Cannot push ${quote(name)}: it has a digest`, {
      hint: 'Give it a tag first with "dugout tag"',
    });
  }
  return [...host.access.expand(typed), completeReference(typed)];
}

/**
 * Pushes an image by a name as it was typed: the blobs and documents that are in the store, as they came (C-034).
 * @throws {DugoutError} IMAGE_UNKNOWN, IMAGE_DAMAGED, REFERENCE_INVALID; {RegistryError}.
 */
export async function pushImage(host: PushHost, request: PushRequest): Promise<PushResult> {
  for (const candidate of candidatesOf(host, request.name)) {
    const reference = { ...candidate, tag: candidate.tag ?? "latest" };
    const name = readName(host.store, formatReference(reference));
    if (name === undefined) continue;
    host.onEvent?.({ kind: "pushing", reference });
    return await pushName(host, reference, name, request);
  }
  throw new DugoutError(
    "IMAGE_UNKNOWN",
    `An image does not exist locally with the tag: ${quote(request.name).slice(1, -1)}`,
    {
      exitCode: 1,
      hint: 'See "dugout images" for the names that are here; "dugout tag" gives another one',
    },
  );
}

/**
 * Pushes all tags of a repository that are in the store.
 * @throws {DugoutError} REFERENCE_INVALID when the name has a tag; as {@linkcode pushImage}.
 */
export async function pushAllTags(host: PushHost, request: PushRequest): Promise<PushResult[]> {
  if (parseTypedReference(request.name).tag !== undefined) {
    throw new DugoutError("REFERENCE_INVALID", "tag can't be used with --all-tags/-a", { exitCode: 1 });
  }
  const names = listNames(host.store).names;
  for (const candidate of candidatesOf(host, request.name)) {
    const repository = repositoryName(candidate);
    const tagged = names.flatMap((name) => {
      if (name.reference === undefined) return [];
      const reference = parseReference(name.reference);
      return reference.tag !== undefined && repositoryName(reference) === repository ? [{ reference, name }] : [];
    });
    const [first] = tagged;
    if (first === undefined) continue;
    host.onEvent?.({ kind: "pushing", reference: first.reference });
    const results: PushResult[] = [];
    for (const { reference, name } of tagged) results.push(await pushName(host, reference, name, request));
    return results;
  }
  throw new DugoutError(
    "IMAGE_UNKNOWN",
    `An image does not exist locally with the tag: ${quote(request.name).slice(1, -1)}`,
    {
      exitCode: 1,
    },
  );
}
