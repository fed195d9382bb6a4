import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { type Ingest, openIngest } from "#storage/ingest.ts";
import type { Lease } from "#storage/lease.ts";
import type { PlannedLayer } from "./plan_layers.ts";
import { type BlobSink, downloadBlob, downloadForeignLayer } from "./registry/blob_request.ts";
import type { RegistryClient } from "./registry/client.ts";
import type { Endpoint } from "./registry/endpoint.ts";
import { hasCode, RegistryError } from "./registry/error.ts";

/** Where a layer may come from. */
export interface LayerSources {
  client: RegistryClient;
  /** The one that had the manifest first, then the others that the configuration names for the image. */
  endpoints: readonly Endpoint[];
  /** Hosts of `urls` in manifests that the user's configuration allows. */
  foreignLayerHosts: readonly string[];
}

export interface FetchBlobOptions {
  signal: AbortSignal;
  /** Called with the bytes that are there: at the start, and as they come. */
  onProgress: (doneBytes: number) => void;
  /** Called when all is there and only has to be flushed. */
  onWhole?: () => void;
}

/** A way to get the rest of a blob. */
type Attempt = (sink: BlobSink) => Promise<void>;

function planAttempts(sources: LayerSources, layer: PlannedLayer, what: string, signal: AbortSignal): Attempt[] {
  const { client, endpoints, foreignLayerHosts } = sources;
  const { descriptor, isForeign } = layer;
  const attempts: Attempt[] = endpoints.map((endpoint) => (sink) =>
    downloadBlob(client, endpoint, descriptor, sink, what, signal)
  );
  if (!isForeign) return attempts;
  for (const address of descriptor.urls ?? []) {
    if (!URL.canParse(address)) continue;
    const { host, hostname } = new URL(address);
    if (!foreignLayerHosts.includes(host) && !foreignLayerHosts.includes(hostname)) continue;
    attempts.push((sink) => downloadForeignLayer(client, address, descriptor, sink, what, signal));
  }
  return attempts;
}

/** What to say when a foreign layer is nowhere (C-128). */
function foreignError(layer: PlannedLayer, what: string, cause: unknown): DugoutError {
  const addresses = (layer.descriptor.urls ?? []).slice(0, 3).map((address) => quote(address, 300)).join(", ");
  const said = cause instanceof Error ? cause.message : String(cause);
  return new DugoutError(
    "FOREIGN_LAYER_UNAVAILABLE",
    `Cannot get ${what}: the registry need not have it, and the manifest says it is at ${
      addresses || "no address"
    }: ${said}`,
    {
      hint:
        'To allow an address, add its host to "foreign-layer-hosts" in dugout\'s registry.toml; no credentials are sent there',
      cause,
    },
  );
}

/** Whether another source may help: the network, the registry, or its content was at fault, and not the disk, nor the user. */
function isSourceFault(error: unknown): boolean {
  return (error instanceof RegistryError && error.code !== "ABORTED") ||
    hasCode(error, "DIGEST_MISMATCH", "SIZE_MISMATCH");
}

/**
 * Whether beginning again at byte 0 may help: the end does not fit to a beginning that an earlier process left, or the source does not give
 * the rest of what is there.
 */
function isBeginningAtFault(error: unknown, isResumed: boolean, offset: number): boolean {
  if (hasCode(error, "DIGEST_MISMATCH")) return isResumed;
  return offset > 0 && (hasCode(error, "RESPONSE_INVALID") || (error instanceof RegistryError && error.status === 416));
}

async function fetchInto(
  ingest: Ingest,
  attempts: readonly Attempt[],
  sink: BlobSink,
  options: FetchBlobOptions,
): Promise<void> {
  let failure: unknown;
  for (const attempt of attempts) {
    for (let isFresh = false;;) {
      const isResumed = ingest.resumedBytes > 0;
      try {
        await attempt(sink);
        options.onWhole?.();
        await ingest.commit();
        return;
      } catch (error) {
        if (!isSourceFault(error)) throw error;
        failure = error;
        if (isFresh || !isBeginningAtFault(error, isResumed, ingest.offset)) break;
        isFresh = true;
        ingest.restart();
        options.onProgress(0);
      }
    }
  }
  throw failure;
}

/**
 * Brings the blob of a layer into the store, from the first source that has it; resumes what an earlier process left, and waits where another is at
 * it already.
 * @returns Whether anything was downloaded here.
 * @throws {DugoutError} ENOSPC, EDQUOT at once (C-045); FOREIGN_LAYER_UNAVAILABLE; {RegistryError}.
 */
export async function fetchLayerBlob(
  lease: Lease,
  sources: LayerSources,
  layer: PlannedLayer,
  options: FetchBlobOptions,
): Promise<boolean> {
  const { descriptor } = layer;
  const what = `the layer "${descriptor.digest}"`;
  using ingest = await openIngest(lease, { digest: descriptor.digest, size: descriptor.size }, {
    signal: options.signal,
    onWait: options.onProgress,
  });
  if (ingest === undefined) return false;
  options.onProgress(ingest.offset);
  const sink: BlobSink = {
    get offset() {
      return ingest.offset;
    },
    write(chunk) {
      ingest.write(chunk);
      options.onProgress(ingest.offset);
    },
  };
  try {
    await fetchInto(ingest, planAttempts(sources, layer, what, options.signal), sink, options);
  } catch (error) {
    throw layer.isForeign && isSourceFault(error) ? foreignError(layer, what, error) : error;
  }
  return true;
}
