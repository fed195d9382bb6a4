import type { Descriptor } from "#oci/descriptor.ts";
import { digestAlgorithm, hashBytes } from "#oci/digest.ts";
import { answerError } from "./answer_error.ts";
import type { RegistryClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import { pullScope } from "./manifest_request.ts";
import { discardBody, type HttpResponse } from "./transport.ts";
import { admitUrl } from "./url_gate.ts";

/** Where the bytes of a blob go. The writer holds what came, also across processes; it verifies the digest at the end. */
export interface BlobSink {
  /** The number of bytes that are there: where the next request goes on. */
  readonly offset: number;
  /** Takes the next bytes. What it throws ends the download at once and is thrown as it is (C-045). */
  write(chunk: Uint8Array): void | Promise<void>;
}

/** Says where a partial answer begins and how long the whole is (RFC 9110 §14.4); undefined when it cannot be understood. */
export function parseContentRange(
  value: string,
): { start: number; end: number; total: number | undefined } | undefined {
  const match = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/.exec(value.trim());
  if (match === null) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  const total = match[3] === "*" ? undefined : Number(match[3]);
  const isSane = start <= end && Number.isSafeInteger(end) &&
    (total === undefined || (Number.isSafeInteger(total) && end < total));
  return isSane ? { start, end, total } : undefined;
}

/** Carries what the sink threw through the attempts, so that it is never taken for a fault of the network. */
class SinkFailure {
  readonly reason: unknown;
  constructor(reason: unknown) {
    this.reason = reason;
  }
}

/**
 * How many bytes of the answer's body come before the sink's offset: 0 for a partial answer that begins there, all of them when the server
 * sends the whole. A partial answer from another offset is refused (C-035).
 */
function planSkip(response: HttpResponse, offset: number, size: number, what: string, endpoint: Endpoint): number {
  const refuse = (code: string, why: string) =>
    new RegistryError(code, `Cannot get ${what} from "${endpoint.host}": ${why}`, { status: response.status });
  const length = headerValue(response.headers, "content-length");
  if (response.status === 200) {
    if (length !== undefined && Number(length) !== size) {
      throw refuse("SIZE_MISMATCH", `it has ${Number(length)} bytes there, the manifest says ${size}`);
    }
    return offset;
  }
  const range = parseContentRange(headerValue(response.headers, "content-range") ?? "");
  if (range === undefined) throw refuse("RESPONSE_INVALID", "the answer is partial but does not say which part");
  if (range.total !== undefined && range.total !== size) {
    throw refuse("SIZE_MISMATCH", `it has ${range.total} bytes there, the manifest says ${size}`);
  }
  if (range.start !== offset) {
    throw refuse("RESPONSE_INVALID", `byte ${offset} was asked for, but the answer begins at byte ${range.start}`);
  }
  return 0;
}

/** Copies a body into the sink from its offset on; never more than `size` bytes in all. */
async function copyBody(
  response: HttpResponse,
  sink: BlobSink,
  skipBytes: number,
  size: number,
  what: string,
): Promise<void> {
  let skip = skipBytes;
  for await (let chunk of response.body) {
    if (skip > 0) {
      const skipped = Math.min(skip, chunk.length);
      skip -= skipped;
      chunk = chunk.subarray(skipped);
      if (chunk.length === 0) continue;
    }
    if (sink.offset + chunk.length > size) {
      throw new RegistryError(
        "SIZE_MISMATCH",
        `Cannot get ${what}: more than the ${size} bytes come that the manifest says`,
      );
    }
    try {
      const written = sink.write(chunk);
      if (written !== undefined) await written;
    } catch (error) {
      throw new SinkFailure(error);
    }
  }
  if (sink.offset < size) {
    throw new RegistryError(
      "CONNECTION_FAILED",
      `Cannot get ${what}: the answer ended after ${sink.offset} of ${size} bytes`,
      { isTransient: true },
    );
  }
}

/** Opens the blob from the sink's offset on; without a range at byte 0. */
type OpenBlob = (
  range: readonly (readonly [string, string])[],
  accepts: readonly number[],
) => Promise<HttpResponse>;

async function download(
  client: RegistryClient,
  open: OpenBlob,
  endpoint: Endpoint,
  sink: BlobSink,
  size: number,
  what: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let failures = 0; sink.offset < size;) {
    const before = sink.offset;
    try {
      const response = await (before === 0 ? open([], [200]) : open([["Range", `bytes=${before}-`]], [200, 206]));
      let skipBytes: number;
      try {
        skipBytes = planSkip(response, before, size, what, endpoint);
      } catch (error) {
        await discardBody(response);
        throw error;
      }
      await copyBody(response, sink, skipBytes, size, what);
    } catch (error) {
      if (error instanceof SinkFailure) throw error.reason;
      // patience is for connections that bring nothing; one that is cut every 10 MB still gets there
      failures = sink.offset > before ? 1 : failures + 1;
      await client.waitToRetry(error, failures, { endpoint, signal });
    }
  }
}

/**
 * Downloads a blob into a sink, from the sink's offset on. A cut connection goes on with Range from what has come, as often as it brings
 * something; the registry's redirects are asked for again each time, since signed addresses expire.
 * @throws {RegistryError} NOT_FOUND, SIZE_MISMATCH, RESPONSE_INVALID …; what the sink throws, as it is.
 */
export async function downloadBlob(
  client: RegistryClient,
  endpoint: Endpoint,
  descriptor: Descriptor,
  sink: BlobSink,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const open: OpenBlob = (headers, accepts) =>
    client.attempt({
      endpoint,
      method: "GET",
      path: `/v2/${endpoint.repository}/blobs/${descriptor.digest}`,
      scope: pullScope(endpoint),
      action: `Cannot get ${what}`,
      headers,
      accepts,
      signal,
    });
  await download(client, open, endpoint, sink, descriptor.size, what, signal);
}

/**
 * Downloads a layer from one of the addresses in its descriptor, of which the user's configuration allows the host. No credentials go
 * there, whatever it answers.
 * @param address As it stands in the manifest.
 * @throws {RegistryError} As `downloadBlob`, and URL_REFUSED.
 */
export async function downloadForeignLayer(
  client: RegistryClient,
  address: string,
  descriptor: Descriptor,
  sink: BlobSink,
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  const url = admitUrl(address, `the address of ${what}`);
  const endpoint: Endpoint = { host: url.host, repository: "", isInsecure: false, isMirror: true };
  const open: OpenBlob = async (headers, accepts) => {
    const response = await client.sendOnce({ method: "GET", url, headers, signal }, endpoint);
    if (accepts.includes(response.status)) return response;
    throw await answerError(response, "GET", `Cannot get ${what}`, endpoint);
  };
  await download(client, open, endpoint, sink, descriptor.size, what, signal);
}

/**
 * Gets a small blob (an image config) into memory and verifies it.
 * @throws {RegistryError} RESPONSE_TOO_LARGE when the descriptor's size is above the limit; DIGEST_MISMATCH; as `downloadBlob`.
 */
export async function fetchSmallBlob(
  client: RegistryClient,
  endpoint: Endpoint,
  descriptor: Descriptor,
  maxBytes: number,
  what: string,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  if (descriptor.size > maxBytes) {
    throw new RegistryError(
      "RESPONSE_TOO_LARGE",
      `Cannot get ${what}: it has ${descriptor.size} bytes, the limit is ${maxBytes}`,
    );
  }
  const bytes = new Uint8Array(descriptor.size);
  const sink = {
    offset: 0,
    write(chunk: Uint8Array) {
      bytes.set(chunk, sink.offset);
      sink.offset += chunk.length;
    },
  };
  await downloadBlob(client, endpoint, descriptor, sink, what, signal);
  const digest = hashBytes(bytes, digestAlgorithm(descriptor.digest));
  if (digest !== descriptor.digest) {
    throw new RegistryError(
      "DIGEST_MISMATCH",
      `Cannot use ${what}: it should be "${descriptor.digest}", but the bytes from "${endpoint.host}" are "${digest}"`,
    );
  }
  return bytes;
}
