import { type Digest, digestAlgorithm, hashBytes, parseDigest } from "#oci/digest.ts";
import { LIMITS } from "#oci/limits.ts";
import { bareMediaType, type ManifestDocument, parseManifestDocument } from "#oci/manifest.ts";
import { MANIFEST_ACCEPT } from "#oci/media_types.ts";
import type { RegistryClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import { discardBody, readBody } from "./transport.ts";

/** A manifest or index as it came, hashed and parsed once. */
export interface FetchedManifest {
  digest: Digest;
  mediaType: string;
  bytes: Uint8Array;
  document: ManifestDocument;
}

/** The right to read a repository. */
export function pullScope(endpoint: Endpoint): string {
  return `repository:${endpoint.repository}:pull`;
}

/** The right to write to a repository, and to read another of the same registry, where a blob is to be mounted from. */
export function pushScope(endpoint: Endpoint, from?: string): string {
  const own = `repository:${endpoint.repository}:pull,push`;
  return from === undefined ? own : `${own} repository:${from}:pull`;
}

function manifestPath(endpoint: Endpoint, reference: string): string {
  // repository, tags and digests passed their grammars and need no encoding
  return `/v2/${endpoint.repository}/manifests/${reference}`;
}

/**
 * Gets a manifest or index by tag or digest. By digest, the bytes must be those of the digest, whoever answered.
 * @param what Names it in messages, as in `the manifest of "docker.io/library/debian:12"`.
 * @throws {RegistryError} NOT_FOUND, DIGEST_MISMATCH and others; {DugoutError} MANIFEST_…, NOT_AN_IMAGE.
 */
export async function fetchManifest(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: { tag: string } | { digest: Digest },
  what: string,
  signal?: AbortSignal,
): Promise<FetchedManifest> {
  const wanted = "digest" in reference ? reference.digest : undefined;
  return await client.request({
    endpoint,
    method: "GET",
    path: manifestPath(endpoint, "digest" in reference ? reference.digest : reference.tag),
    scope: pullScope(endpoint),
    action: `Cannot get ${what}`,
    headers: [["Accept", MANIFEST_ACCEPT.join(", ")]],
    signal,
  }, async (response) => {
    const bytes = await readBody(response, LIMITS.manifestBytes, what);
    const said = headerValue(response.headers, "docker-content-digest");
    const told = wanted === undefined && said !== undefined ? parseDigest(said) : undefined;
    const digest = hashBytes(bytes, wanted === undefined ? "sha256" : digestAlgorithm(wanted));
    const expected = wanted ?? told;
    if (expected !== undefined && hashBytes(bytes, digestAlgorithm(expected)) !== expected) {
      throw new RegistryError(
        "DIGEST_MISMATCH",
        `Cannot use ${what}: it should be "${expected}", but the bytes from "${endpoint.host}" are "${digest}"`,
      );
    }
    const document = parseManifestDocument(bytes, what, headerValue(response.headers, "content-type"));
    return {
      digest,
      mediaType: document.kind === "index" ? document.index.mediaType : document.manifest.mediaType,
      bytes,
      document,
    };
  });
}

/** What a HEAD of a manifest told, without its content: enough to see whether a tag has moved. */
export interface ManifestHead {
  /** Undefined when the registry does not say it. */
  digest: Digest | undefined;
  mediaType: string;
}

/** Asks whether a tag is there and what it points to; undefined when there is no such tag. */
export async function headManifest(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: string,
  what: string,
  signal?: AbortSignal,
): Promise<ManifestHead | undefined> {
  return await client.request({
    endpoint,
    method: "HEAD",
    path: manifestPath(endpoint, reference),
    scope: pullScope(endpoint),
    action: `Cannot look for ${what}`,
    headers: [["Accept", MANIFEST_ACCEPT.join(", ")]],
    accepts: [200, 404],
    signal,
  }, async (response) => {
    await discardBody(response);
    if (response.status === 404) return undefined;
    const said = headerValue(response.headers, "docker-content-digest");
    return {
      digest: said === undefined ? undefined : parseDigest(said),
      mediaType: bareMediaType(headerValue(response.headers, "content-type") ?? ""),
    };
  });
}

/**
 * Puts a manifest or index under a tag or its digest, as the bytes that it came as (C-034).
 * @throws {RegistryError} DIGEST_MISMATCH when the registry made something else of it.
 */
export async function putManifest(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: string,
  document: { digest: Digest; mediaType: string; bytes: Uint8Array },
  what: string,
  signal?: AbortSignal,
): Promise<void> {
  await client.request({
    endpoint,
    method: "PUT",
    path: manifestPath(endpoint, reference),
    scope: pushScope(endpoint),
    action: `Cannot push ${what}`,
    headers: [["Content-Type", document.mediaType]],
    body: document.bytes,
    accepts: [200, 201, 202, 204],
    signal,
  }, async (response) => {
    await discardBody(response);
    const said = headerValue(response.headers, "docker-content-digest");
    if (said === undefined || digestAlgorithm(parseDigest(said)) !== digestAlgorithm(document.digest)) return;
    if (said !== document.digest) {
      throw new RegistryError(
        "DIGEST_MISMATCH",
        `Cannot push ${what}: it is "${document.digest}", but registry "${endpoint.host}" calls it "${said}"`,
      );
    }
  });
}
