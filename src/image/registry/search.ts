import * as v from "valibot";
import { DugoutError } from "#oci/error.ts";
import { parseJson } from "#oci/json.ts";
import { LIMITS } from "#oci/limits.ts";
import { DEFAULT_DOMAIN, isDomain } from "#oci/reference.ts";
import { optional, parseSchema } from "#oci/schema.ts";
import { quote } from "#oci/text.ts";
import type { RegistryClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { fetchPages } from "./tags.ts";
import { readBody } from "./transport.ts";

/** A repository that a search found. */
export interface SearchResult {
  /** As it can be pulled: without a domain for Docker's. */
  name: string;
  description: string;
  stars: number;
  isOfficial: boolean;
  isAutomated: boolean;
}

/** `--filter`. */
export interface SearchFilters {
  stars?: number;
  isOfficial?: boolean;
  isAutomated?: boolean;
}

export interface SearchRequest {
  /** `TERM`, or `host[:port]/TERM` for another registry than Docker's. */
  term: string;
  /** At most this many results; 25 when absent, 100 at most, as Docker has it. */
  limit?: number;
  filters?: SearchFilters;
}

const resultSchema = v.object({
  name: v.string(),
  description: optional(v.string()),
  star_count: optional(v.number()),
  is_official: optional(v.boolean()),
  is_automated: optional(v.boolean()),
});
const answerSchema = v.object({ results: optional(v.pipe(v.array(resultSchema), v.maxLength(1000))) });
const catalogSchema = v.object({ repositories: optional(v.pipe(v.array(v.string()), v.maxLength(100_000))) });

/** The registry and the words of a search term. A domain in it is one by the rule of image names. */
export function splitTerm(term: string): { host: string | undefined; words: string } {
  const slash = term.indexOf("/");
  const first = slash < 0 ? "" : term.slice(0, slash);
  const isHost = slash > 0 && (first.includes(".") || first.includes(":") || first === "localhost") && isDomain(first);
  if (!isHost || first === DEFAULT_DOMAIN || first === "index.docker.io") {
    return { host: undefined, words: isHost ? term.slice(slash + 1) : term };
  }
  return { host: first, words: term.slice(slash + 1) };
}

/** @throws {DugoutError} FILTER_INVALID. */
export function parseSearchFilters(filters: readonly string[]): SearchFilters {
  const parsed: SearchFilters = {};
  for (const filter of filters) {
    const match = /^(stars|is-official|is-automated)=(\d{1,9}|true|false)$/.exec(filter);
    const isNumber = match !== null && /^\d/.test(match[2] ?? "");
    if (match === null || (match[1] === "stars") !== isNumber) {
      throw new DugoutError(
        "FILTER_INVALID",
        `Cannot use the filter ${
          quote(filter)
        }: not "stars=NUMBER", "is-official=true|false" or "is-automated=true|false"`,
      );
    }
    if (match[1] === "stars") parsed.stars = Number(match[2]);
    else if (match[1] === "is-official") parsed.isOfficial = match[2] === "true";
    else parsed.isAutomated = match[2] === "true";
  }
  return parsed;
}

function fits(result: SearchResult, filters: SearchFilters): boolean {
  return (filters.stars === undefined || result.stars >= filters.stars) &&
    (filters.isOfficial === undefined || result.isOfficial === filters.isOfficial) &&
    (filters.isAutomated === undefined || result.isAutomated === filters.isAutomated);
}

function toResult(raw: v.InferOutput<typeof resultSchema>): SearchResult {
  return {
    name: raw.name,
    description: raw.description ?? "",
    stars: raw.star_count ?? 0,
    isOfficial: raw.is_official ?? false,
    isAutomated: raw.is_automated ?? false,
  };
}

/** Searches by the old search interface, `GET /v1/search`, which Docker Hub and some others have. */
async function searchVersion1(
  client: RegistryClient,
  endpoint: Endpoint,
  words: string,
  limit: number,
  signal?: AbortSignal,
): Promise<SearchResult[]> {
  const what = `the search at "${endpoint.host}"`;
  const path = `/v1/search?q=${encodeURIComponent(words)}&n=${limit}`;
  return await client.request(
    { endpoint, method: "GET", path, scope: undefined, action: `Cannot get ${what}`, signal },
    async (response) => {
      const value = parseJson(await readBody(response, LIMITS.tagPageBytes, what), what, {
        maxBytes: LIMITS.tagPageBytes,
      });
      return (parseSchema(answerSchema, value, what, "SEARCH_INVALID").results ?? []).map(toResult);
    },
  );
}

/** Searches by the catalog of all repositories (distribution's `GET /v2/_catalog`), as registries without a search offer it. */
async function searchCatalog(
  client: RegistryClient,
  endpoint: Endpoint,
  words: string,
  limit: number,
  signal?: AbortSignal,
): Promise<SearchResult[]> {
  const what = `the catalog of "${endpoint.host}"`;
  const found: SearchResult[] = [];
  await fetchPages(client, endpoint, "/v2/_catalog?n=1000", "registry:catalog:*", what, (bytes) => {
    const value = parseJson(bytes, what, { maxBytes: LIMITS.tagPageBytes });
    for (const name of parseSchema(catalogSchema, value, what, "SEARCH_INVALID").repositories ?? []) {
      if (!name.includes(words)) continue;
      found.push({
        name: `${endpoint.host}/${name}`,
        description: "",
        stars: 0,
        isOfficial: false,
        isAutomated: false,
      });
      if (found.length >= limit) return false;
    }
    return true;
  }, signal);
  return found;
}

/**
 * Searches for images: at Docker Hub, or at the registry in the term.
 * @param isInsecure Whether the configuration allows that registry to be without TLS.
 * @throws {DugoutError} FILTER_INVALID, LIMIT_INVALID; {RegistryError}.
 */
export async function searchImages(
  client: RegistryClient,
  request: SearchRequest,
  isInsecure: (host: string) => boolean,
  signal?: AbortSignal,
): Promise<SearchResult[]> {
  const limit = request.limit ?? 25;
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw new DugoutError("LIMIT_INVALID", `Cannot search with limit ${limit}: not a whole number from 1 to 100`);
  }
  const { host, words } = splitTerm(request.term);
  if (words === "") throw new DugoutError("SEARCH_INVALID", "Cannot search for nothing: write a word");
  const filters = request.filters ?? {};
  const endpoint: Endpoint = {
    host: host ?? "index.docker.io",
    repository: "",
    isInsecure: isInsecure(host ?? DEFAULT_DOMAIN),
    isMirror: false,
  };
  let results: SearchResult[];
  try {
    // the order of podman: most registries have no search of version 1 any more
    results = host === undefined
      ? await searchVersion1(client, endpoint, words, limit, signal)
      : await searchCatalog(client, endpoint, words, limit, signal);
  } catch (error) {
    if (host === undefined || !(error instanceof RegistryError) || error.status === undefined) throw error;
    try {
      results = (await searchVersion1(client, endpoint, words, limit, signal)).map((result) => ({
        ...result,
        name: `${host}/${result.name}`,
      }));
    } catch {
      throw error;
    }
  }
  return results.filter((result) => fits(result, filters)).slice(0, limit);
}
