/**
 * Blobs on their way to a registry (distribution-spec, "Pushing blobs").
 *
 *     HEAD /v2/NAME/blobs/DIGEST        200: it is there
 *     POST /v2/NAME/blobs/uploads/      ?mount=DIGEST&from=OTHER where another repository is known to have it: 201, mounted; else 202 and Location
 *     PUT  Location?digest=DIGEST       small ones, at once
 *     PATCH Location · PUT Location     large ones: the bytes first, so that the last request can be repeated alone (C-038), and what is
 *                                       there is kept when the connection is cut: GET Location tells how much
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import type { RegistryClient, RegistryRequest } from "./client.ts";
import { planTlsPolicy } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { hasCode, RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import { pushScope } from "./manifest_request.ts";
import { admitRedirect } from "./redirect.ts";
import { discardBody, type HttpResponse } from "./transport.ts";

/** A blob to be sent. */
export interface BlobSource {
  descriptor: Pick<Descriptor, "digest" | "size">;
  /** Its bytes from an offset on. */
  open: (offset: number) => AsyncIterable<Uint8Array>;
  /** A repository of the same registry that has it, as far as is known. */
  mountFrom?: string | undefined;
}

/** How a blob came to be there. */
export type UploadOutcome = "exists" | "mounted" | "uploaded";

export interface UploadOptions {
  /** Names the blob in messages, as in `the layer "sha256:…"`. */
  what: string;
  signal?: AbortSignal | undefined;
  /** Called with the bytes that have been sent, as they go, and when a part has to be sent again. */
  onProgress?: ((doneBytes: number) => void) | undefined;
}

/** Larger blobs are sent by PATCH, so that they can be resumed. */
const SMALL_BYTES = 4 * 1024 * 1024;

/** An upload that the registry has opened; each answer may move it to another address. */
interface Session {
  location: URL;
  /** The bytes that the registry has. */
  offset: number;
}

/** One blob, one repository: what all requests of an upload share. */
interface Upload {
  client: RegistryClient;
  endpoint: Endpoint;
  source: BlobSource;
  options: UploadOptions;
}

/** Where the upload goes on (A-017: as any redirect; C-041: without it nothing is believed). */
async function readLocation(upload: Upload, method: string, response: HttpResponse): Promise<URL> {
  const { endpoint, options } = upload;
  const location = headerValue(response.headers, "location");
  const { status, url } = response;
  await discardBody(response);
  if (location === undefined || location === "") {
    throw new RegistryError(
      "LOCATION_MISSING",
      `Cannot push ${options.what}: registry "${endpoint.host}" answered ${status} to ${method}, but not where the upload goes on (no Location)`,
      {
        status,
        method,
        hint: "A proxy in front of the registry, or what stands behind it, may be overloaded or set up wrongly",
      },
    );
  }
  return admitRedirect(url, location, planTlsPolicy(endpoint));
}

function planRequest(
  upload: Upload,
  request: Pick<RegistryRequest, "method" | "path"> & Partial<RegistryRequest>,
): RegistryRequest {
  const { endpoint, options } = upload;
  return {
    endpoint,
    scope: pushScope(endpoint),
    action: `Cannot push ${options.what}`,
    signal: options.signal,
    ...request,
  };
}

function blobsPath({ endpoint }: Upload): string {
  return `/v2/${endpoint.repository}/blobs/`;
}

async function isThere(upload: Upload): Promise<boolean> {
  const { digest, size } = upload.source.descriptor;
  const request = planRequest(upload, { method: "HEAD", path: blobsPath(upload) + digest, accepts: [200, 404, 405] });
  return await upload.client.request(request, async (response) => {
    await discardBody(response);
    const length = headerValue(response.headers, "content-length");
    return response.status === 200 && (length === undefined || Number(length) === size);
  });
}

/** Opens an upload. @returns Undefined when the blob was mounted instead. */
async function openSession(upload: Upload, mountFrom: string | undefined): Promise<Session | undefined> {
  const { client, endpoint, source } = upload;
  const path = `${blobsPath(upload)}uploads/`;
  if (mountFrom !== undefined) {
    const query = new URLSearchParams({ mount: source.descriptor.digest, from: mountFrom });
    const request = planRequest(upload, {
      method: "POST",
      path: `${path}?${query}`,
      scope: pushScope(endpoint, mountFrom),
      accepts: [201, 202],
    });
    try {
      return await client.request(request, async (response) => {
        if (response.status === 202) return { location: await readLocation(upload, "POST", response), offset: 0 };
        await discardBody(response);
        return undefined;
      });
    } catch (error) {
      // registries that know no mounts, that forbid this one, or whose other repository does not have it after all (C-040)
      if (!(error instanceof RegistryError) || ![400, 401, 403, 404, 405].includes(error.status ?? 0)) throw error;
    }
  }
  const request = planRequest(upload, { method: "POST", path, accepts: [202] });
  return await client.request(request, async (response) => ({
    location: await readLocation(upload, "POST", response),
    offset: 0,
  }));
}

/** The bytes from an offset on, as the body of a request; tells of progress as they go. */
function streamFrom(
  { source, options }: Upload,
  offset: number,
): { length: number; open: () => AsyncIterable<Uint8Array> } {
  return {
    length: source.descriptor.size - offset,
    async *open() {
      let done = offset;
      options.onProgress?.(done);
      for await (const piece of source.open(offset)) {
        yield piece;
        done += piece.length;
        options.onProgress?.(done);
      }
    },
  };
}

/** Location with the digest, its query left as it came: it may be signed. */
function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  url.search = `${url.search === "" ? "?" : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url;
}

const OCTETS: readonly [string, string] = ["Content-Type", "application/octet-stream"];

/** Sends what the registry does not have yet, and ends the upload. `session` is kept true on the way. */
async function send(upload: Upload, session: Session): Promise<void> {
  const { client, source } = upload;
  const { digest, size } = source.descriptor;
  const isSmall = size <= SMALL_BYTES && session.offset === 0;
  if (!isSmall && session.offset < size) {
    const headers = [OCTETS];
    // a first request with all bytes needs no range, and some registries refuse one
    if (session.offset > 0) headers.push(["Content-Range", `${session.offset}-${size - 1}`]);
    const patch = planRequest(upload, {
      method: "PATCH",
      path: "",
      location: session.location,
      headers,
      body: streamFrom(upload, session.offset),
      accepts: [202, 204],
    });
    session.location = await readLocation(upload, "PATCH", await client.attempt(patch));
    session.offset = size;
  }
  const put = planRequest(upload, {
    method: "PUT",
    path: "",
    location: withDigest(session.location, digest),
    headers: [OCTETS],
    body: isSmall ? streamFrom(upload, 0) : new Uint8Array(0),
    accepts: [201, 204],
  });
  await discardBody(await client.attempt(put));
}

/**
 * Asks how much of an upload has arrived.
 * @returns Undefined when it cannot be gone on with: begin anew.
 */
async function resumeSession(upload: Upload, session: Session): Promise<Session | undefined> {
  const request = planRequest(upload, {
    method: "GET",
    path: "",
    location: session.location,
    accepts: [200, 202, 204],
  });
  try {
    const response = await upload.client.attempt(request);
    const range = /^(?:bytes=)?0-(\d{1,16})$/.exec(headerValue(response.headers, "range") ?? "");
    const offset = range === null ? 0 : Number(range[1]) + 1;
    const moved = response.headers.has("location") ? await readLocation(upload, "GET", response) : undefined;
    await discardBody(response);
    // "0-0" is what registries say of no byte as well as of one
    return offset > 1 && offset <= upload.source.descriptor.size
      ? { location: moved ?? session.location, offset }
      : undefined;
  } catch (error) {
    if (hasCode(error, "ABORTED") || !(error instanceof RegistryError)) throw error;
    return undefined;
  }
}

/** Whether the upload itself is lost, while another one may work: it is unknown, or out of step, or its address did not come. */
function isSessionLost(error: unknown): boolean {
  return hasCode(error, "LOCATION_MISSING") ||
    (error instanceof RegistryError && (error.status === 404 || error.status === 416));
}

/**
 * Brings a blob to a repository: not at all if it is there, mounted from another repository of the registry, or sent, streamed, and resumed or
 * sent again after passing faults (C-037).
 * @throws {RegistryError} LOCATION_MISSING and as `RegistryClient.request`; {DugoutError} when the source fails.
 */
export async function uploadBlob(
  client: RegistryClient,
  endpoint: Endpoint,
  source: BlobSource,
  options: UploadOptions,
): Promise<UploadOutcome> {
  const upload: Upload = { client, endpoint, source, options };
  if (await isThere(upload)) return "exists";
  let session: Session | undefined;
  let furthest = 0;
  for (let failures = 0, restarts = 0;;) {
    try {
      if (session === undefined) {
        session = await openSession(upload, failures + restarts === 0 ? source.mountFrom : undefined);
        if (session === undefined) return "mounted";
      }
      await send(upload, session);
      return "uploaded";
    } catch (error) {
      if (isSessionLost(error) && restarts === 0) {
        restarts++;
        session = undefined;
      } else {
        await client.waitToRetry(error, ++failures, { endpoint, signal: options.signal });
        session = session === undefined ? undefined : await resumeSession(upload, session);
      }
      // the last answer may have been lost, and not the last request
      if (session === undefined && await isThere(upload)) return "uploaded";
      if (session !== undefined && session.offset > furthest) [furthest, failures] = [session.offset, 0];
    }
  }
}
