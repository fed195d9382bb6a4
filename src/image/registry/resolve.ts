import type { Descriptor } from "#oci/descriptor.ts";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { checkConfigType } from "#oci/image_config.ts";
import { LIMITS } from "#oci/limits.ts";
import type { Index, Manifest } from "#oci/manifest.ts";
import { isIndexType, isManifestType } from "#oci/media_types.ts";
import { formatPlatform, isUnknownPlatform, type Platform, scorePlatform } from "#oci/platform.ts";
import type { RegistryClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { type FetchedManifest, fetchManifest } from "./manifest_request.ts";

/** What an image's name leads to at a registry: the documents on the way, and the manifest at its end. */
export interface ResolvedImage {
  endpoint: Endpoint;
  /** What the name points to: an index or the manifest itself. */
  target: Descriptor;
  /** All documents that were fetched on the way, the target first, the manifest last; each as it came. */
  documents: FetchedManifest[];
  manifest: Manifest;
  manifestDigest: Digest;
  /** What the index said the manifest is for; undefined when there was no index, or it did not say. */
  platform: Platform | undefined;
}

/** Documents that one resolution may fetch; a chain of three indexes needs four. */
const FETCHES_MAX = 16;

function describe(fetched: FetchedManifest): Descriptor {
  return { mediaType: fetched.mediaType, digest: fetched.digest, size: fetched.bytes.length };
}

/** The entries of an index that may lead to an image for the platform, best first; equal ones in their order. */
export function rankEntries(index: Index, platform: Platform): Descriptor[] {
  const ranked: { entry: Descriptor; score: number }[] = [];
  for (const entry of index.manifests) {
    if (!isIndexType(entry.mediaType) && !isManifestType(entry.mediaType)) continue;
    // attestations are no images, whatever platform they claim (C-029)
    if (entry.annotations?.has("vnd.docker.reference.type")) continue;
    const score = entry.platform === undefined
      ? 1
      : isUnknownPlatform(entry.platform)
      ? 0
      : scorePlatform(platform, entry.platform);
    if (score > 0) ranked.push({ entry, score });
  }
  return ranked.sort((one, other) => other.score - one.score).map(({ entry }) => entry);
}

/** The platforms that an index offers, for messages. */
function offeredPlatforms(index: Index): string {
  const names = new Set<string>();
  for (const { platform } of index.manifests) {
    if (platform !== undefined && !isUnknownPlatform(platform)) names.add(formatPlatform(platform));
  }
  const shown = [...names].slice(0, 20);
  return shown.length === 0 ? "it names none" : `there is ${shown.join(", ")}${names.size > shown.length ? " …" : ""}`;
}

/**
 * Follows a name to the manifest for a platform, through nested indexes down to three (C-029, A-098); no document is fetched twice.
 * @param fetch Gets a document by digest.
 * @param target The document that the name points to.
 * @param what Names the image in messages, as in `"docker.io/library/debian:12"`.
 * @throws {DugoutError} PLATFORM_UNKNOWN, INDEX_TOO_DEEP, INDEX_LOOP, NOT_AN_IMAGE.
 */
export async function followIndexes(
  fetch: (entry: Descriptor, what: string) => Promise<FetchedManifest>,
  target: FetchedManifest,
  platform: Platform,
  what: string,
): Promise<Omit<ResolvedImage, "endpoint">> {
  let fetches = 1;
  async function follow(
    path: FetchedManifest[],
    via: Descriptor | undefined,
  ): Promise<Omit<ResolvedImage, "endpoint"> | undefined> {
    const here = path[path.length - 1] ?? target;
    if (here.document.kind === "manifest") {
      const { manifest } = here.document;
      checkConfigType(manifest, what);
      return {
        target: describe(target),
        documents: path,
        manifest,
        manifestDigest: here.digest,
        platform: via?.platform,
      };
    }
    if (path.length > LIMITS.indexDepth) {
      throw new DugoutError(
        "INDEX_TOO_DEEP",
        `Cannot use ${what}: its indexes are nested more than ${LIMITS.indexDepth} deep`,
      );
    }
    for (const entry of rankEntries(here.document.index, platform)) {
      if (path.some(({ digest }) => digest === entry.digest)) {
        throw new DugoutError("INDEX_LOOP", `Cannot use ${what}: the index "${entry.digest}" contains itself`);
      }
      if (++fetches > FETCHES_MAX) {
        throw new DugoutError(
          "INDEX_TOO_DEEP",
          `Cannot use ${what}: more than ${FETCHES_MAX} documents lead to no image`,
        );
      }
      const found = await follow([...path, await fetch(entry, what)], entry);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  const found = await follow([target], undefined);
  if (found !== undefined) return found;
  const offered = target.document.kind === "index" ? offeredPlatforms(target.document.index) : "";
  throw new DugoutError(
    "PLATFORM_UNKNOWN",
    `Cannot use ${what}: it has no image for ${formatPlatform(platform)}; ${offered}`,
    {
      hint: "Choose one of them with --platform; it needs an emulator in binfmt_misc if it is not this machine's",
    },
  );
}

/**
 * Finds the image that a tag or digest of a repository means on a platform.
 * @throws {RegistryError} As `fetchManifest`. {DugoutError} As `followIndexes`.
 */
export async function resolveImage(
  client: RegistryClient,
  endpoint: Endpoint,
  reference: { tag: string } | { digest: Digest },
  platform: Platform,
  what: string,
  signal?: AbortSignal,
): Promise<ResolvedImage> {
  const target = await fetchManifest(client, endpoint, reference, `the manifest of ${what}`, signal);
  const fetch = async (entry: Descriptor): Promise<FetchedManifest> => {
    const fetched = await fetchManifest(
      client,
      endpoint,
      { digest: entry.digest },
      `the manifest "${entry.digest}" of ${what}`,
      signal,
    );
    // the index, the header and the body have to agree about what it is
    if (fetched.mediaType !== entry.mediaType || fetched.bytes.length !== entry.size) {
      throw new DugoutError(
        "MANIFEST_INVALID",
        `Cannot use ${what}: its index says that "${entry.digest}" is ${entry.size} bytes of type "${entry.mediaType}", ` +
          `but it is ${fetched.bytes.length} of "${fetched.mediaType}"`,
      );
    }
    return fetched;
  };
  return { endpoint, ...await followIndexes(fetch, target, platform, what) };
}
