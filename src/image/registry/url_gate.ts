import { quote } from "#oci/text.ts";
import { RegistryError } from "./error.ts";

/** More than signed addresses of blob stores need. */
const URL_LENGTH_MAX = 16 * 1024;

/**
 * The one gate for every address that comes from outside: `Location`, `Link`, realms, `urls` of layers. Only http and https pass, without user
 * names, control characters or spaces in them.
 * @param base What a relative address is relative to.
 * @param what Names the origin of the address in messages, as in `the redirect of registry "h"`.
 * @throws {RegistryError} URL_REFUSED.
 */
export function admitUrl(text: string, what: string, base?: URL): URL {
  const refuse = (why: string) =>
    new RegistryError("URL_REFUSED", `Cannot follow ${what}: the address ${quote(text)} ${why}`);
  if (text.length > URL_LENGTH_MAX) throw refuse(`has more than ${URL_LENGTH_MAX} characters`);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // the URL parser would drop tabs and newlines without a word
    if (code <= 0x20 || code === 0x7f || code === 0x5c) {
      throw refuse("has a space, a backslash or a control character in it");
    }
  }
  let url: URL;
  try {
    url = base === undefined ? new URL(text) : new URL(text, base);
  } catch {
    throw refuse("is no URL");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw refuse("is neither http nor https");
  if (url.hostname === "") throw refuse("names no host");
  if (url.username !== "" || url.password !== "") throw refuse("has a user name in it");
  url.hash = "";
  return url;
}

/** The address for messages: without the query, which may be a signature. */
export function showUrl(url: URL): string {
  return `${url.origin}${url.pathname.slice(0, 300)}${url.search === "" ? "" : "?…"}`;
}

/** The host name without the brackets of an IPv6 address. */
export function bareHostname(url: URL): string {
  const { hostname } = url;
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

/** The port, also where the URL leaves it out. */
export function portOf(url: URL): number {
  return url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
}

/** The name and all spellings of this machine's own loopback: `localhost`, 127.0.0.0/8, ::1, and the first two mapped into IPv6. */
export function isLoopbackHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "").toLowerCase();
  if (host === "localhost" || host.endsWith(".localhost")) return true;
  if (/^127(\.\d{1,3}){3}$/.test(host)) return true;
  // the URL parser writes every IPv6 address in its shortest form, and mapped ones as ::ffff:7fxx:xxxx
  return host === "::1" || /^::ffff:7f[0-9a-f]{2}:[0-9a-f]{1,4}$/.test(host) || /^::ffff:127\./.test(host);
}

/** Whether two addresses are of one origin: scheme, host and port (C-039: to another one no Authorization goes). */
export function isSameOrigin(one: URL, other: URL): boolean {
  return one.protocol === other.protocol && one.hostname === other.hostname && portOf(one) === portOf(other);
}
