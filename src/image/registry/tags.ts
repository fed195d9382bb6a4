import * as v from "valibot";
import { parseJson } from "#oci/json.ts";
import { LIMITS } from "#oci/limits.ts";
import { optional, parseSchema } from "#oci/schema.ts";
import type { RegistryClient } from "./client.ts";
import type { Endpoint } from "./endpoint.ts";
import { RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import { pullScope } from "./manifest_request.ts";
import { readBody } from "./transport.ts";
import { admitUrl } from "./url_gate.ts";

const PAGE_SIZE = 1000;
const TAGS_MAX = 1_000_000;
const tagsSchema = v.object({
  tags: optional(v.array(v.pipe(v.string(), v.regex(/^\w[\w.-]{0,127}$/, "a tag with other characters")))),
});

/**
 * The address of the next page in a Link field (RFC 8288), `<…>; rel="next"`; one pass over the text.
 * @returns The text between the angle brackets, or undefined.
 */
export function parseNextLink(value: string): string | undefined {
  if (value.length > 16 * 1024) return undefined;
  for (let at = 0; at < value.length;) {
    const open = value.indexOf("<", at);
    const close = value.indexOf(">", open + 1);
    if (open < 0 || close < 0) return undefined;
    const next = value.indexOf("<", close);
    const parameters = value.slice(close + 1, next < 0 ? value.length : next).toLowerCase();
    if (/;\s*rel\s*=\s*(?:"next"|next)\s*(?:[;,]|$)/.test(parameters)) return value.slice(open + 1, close);
    at = next < 0 ? value.length : next;
  }
  return undefined;
}

/**
 * Gets pages of a list until there is no `Link` to a next one. Links lead to the same registry or are refused, and at most to 1,000 pages
 * (A-098).
 * @param path Of the first page, below the registry's base.
 * @param take Gets the bytes of a page; returns whether more is wanted.
 */
export async function fetchPages(
  client: RegistryClient,
  endpoint: Endpoint,
  path: string,
  scope: string | undefined,
  what: string,
  take: (bytes: Uint8Array) => boolean,
  signal?: AbortSignal,
): Promise<void> {
  const base = await client.baseUrl(endpoint, signal);
  const seen = new Set<string>();
  for (let next: string | undefined = path; next !== undefined;) {
    if (seen.has(next)) {
      throw new RegistryError(
        "RESPONSE_INVALID",
        `Cannot get ${what}: the pages of "${endpoint.host}" lead in a circle`,
      );
    }
    if (seen.size >= LIMITS.tagPages) {
      throw new RegistryError("RESPONSE_TOO_LARGE", `Cannot get ${what}: more than ${LIMITS.tagPages} pages`);
    }
    seen.add(next);
    const here: string = next;
    next = await client.request(
      { endpoint, method: "GET", path: here, scope, action: `Cannot get ${what}`, signal },
      async (response) => {
        const isMore = take(await readBody(response, LIMITS.tagPageBytes, what));
        const link = parseNextLink(headerValue(response.headers, "link") ?? "");
        if (!isMore || link === undefined) return undefined;
        const url = admitUrl(link, `the next page of ${what}`, new URL(here, base));
        // proxies in front of registries make them forget their scheme and port; only path and query are used
        if (url.hostname !== base.hostname) {
          throw new RegistryError(
            "URL_REFUSED",
            `Cannot get ${what}: the next page is at another place, "${url.host}"`,
          );
        }
        return url.pathname + url.search;
      },
    );
  }
}

/**
 * Lists all tags of a repository (distribution-spec, "Listing Tags").
 * @throws {RegistryError} NOT_FOUND, RESPONSE_TOO_LARGE …
 */
export async function listTags(client: RegistryClient, endpoint: Endpoint, signal?: AbortSignal): Promise<string[]> {
  const what = `the tags of "${endpoint.host}/${endpoint.repository}"`;
  const tags = new Set<string>();
  const path = `/v2/${endpoint.repository}/tags/list?n=${PAGE_SIZE}`;
  await fetchPages(client, endpoint, path, pullScope(endpoint), what, (bytes) => {
    const value = parseJson(bytes, what, { maxBytes: LIMITS.tagPageBytes });
    for (const tag of parseSchema(tagsSchema, value, what, "TAGS_INVALID").tags ?? []) tags.add(tag);
    if (tags.size > TAGS_MAX) {
      throw new RegistryError("RESPONSE_TOO_LARGE", `Cannot get ${what}: more than ${TAGS_MAX}`);
    }
    return true;
  }, signal);
  return [...tags];
}
