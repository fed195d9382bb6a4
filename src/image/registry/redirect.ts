import { RegistryError } from "./error.ts";
import { headerValue } from "./http1.ts";
import { discardBody, type HttpRequest, type HttpResponse } from "./transport.ts";
import { admitUrl, isLoopbackHost, isSameOrigin, showUrl } from "./url_gate.ts";

const REDIRECTS_MAX = 10;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The fields that go to another origin; everything else, Authorization first of all, stays (C-039, A-017). */
const HARMLESS_FIELDS: ReadonlySet<string> = new Set(["accept", "range", "user-agent"]);

/** Whether plain HTTP to a URL is allowed, and whether its certificate has to be valid. */
export interface TlsPolicy {
  allowsPlain: (url: URL) => boolean;
  verifiesTls: (url: URL) => boolean;
}

/**
 * Checks where a redirect leads.
 * @throws {RegistryError} URL_REFUSED, REDIRECT_REFUSED.
 */
export function admitRedirect(from: URL, location: string, policy: TlsPolicy): URL {
  const to = admitUrl(location, `the redirect of "${from.host}"`, from);
  const refuse = (why: string) =>
    new RegistryError("REDIRECT_REFUSED", `Cannot follow the redirect of ${showUrl(from)} to ${showUrl(to)}: ${why}`, {
      url: showUrl(from),
    });
  if (from.protocol === "https:" && to.protocol === "http:") throw refuse("it leads from https to http");
  if (isLoopbackHost(to.hostname) && !isLoopbackHost(from.hostname)) {
    throw refuse("a host of the network must not lead to this machine's loopback");
  }
  if (to.protocol === "http:" && !policy.allowsPlain(to)) {
    throw refuse(`plain http to "${to.host}" is not allowed by the configuration`);
  }
  return to;
}

/**
 * Sends a request and follows its redirects by hand, at most ten. When one leads to another origin, only harmless header fields go on, and
 * nothing brings the others back. Requests other than GET and HEAD are not redirected: their answer is returned.
 */
export async function sendFollowing(
  send: (request: HttpRequest) => Promise<HttpResponse>,
  request: HttpRequest,
  policy: TlsPolicy,
): Promise<HttpResponse> {
  let { url } = request;
  let headers = [...request.headers ?? []];
  for (let hops = 0;; hops++) {
    const response = await send({ ...request, url, headers, verifyTls: policy.verifiesTls(url) });
    if (!REDIRECTS.has(response.status) || (request.method !== "GET" && request.method !== "HEAD")) return response;
    const location = headerValue(response.headers, "location");
    if (location === undefined) return response;
    await discardBody(response);
    if (hops >= REDIRECTS_MAX) {
      throw new RegistryError(
        "REDIRECT_REFUSED",
        `Cannot get ${showUrl(request.url)}: more than ${REDIRECTS_MAX} redirects`,
        { url: showUrl(request.url) },
      );
    }
    const to = admitRedirect(url, location, policy);
    if (!isSameOrigin(url, to)) headers = headers.filter(([name]) => HARMLESS_FIELDS.has(name.toLowerCase()));
    url = to;
  }
}
