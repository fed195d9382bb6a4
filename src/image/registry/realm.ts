import { RegistryError } from "./error.ts";
import { admitUrl, bareHostname, isLoopbackHost, isSameOrigin } from "./url_gate.ts";
import { quote } from "#oci/text.ts";

/** Where to ask for a token, and whether the user's credentials may go there. */
export interface Realm {
  url: URL;
  isTrusted: boolean;
}

/** Token servers outside of their registries' sites, as their operators document them. */
const KNOWN_REALMS: ReadonlyMap<string, readonly string[]> = new Map([
  ["registry-1.docker.io", ["auth.docker.io"]],
  ["index.docker.io", ["auth.docker.io"]],
]);

/** Below these, every tenant has a name of its own, so two names are two parties. */
const SHARED_SITES: readonly string[] = [
  "azurecr.io",
  "azurewebsites.net",
  "amazonaws.com",
  "cloudfront.net",
  "googleapis.com",
  "appspot.com",
  "pkg.dev",
  "run.app",
  "github.io",
  "gitlab.io",
  "herokuapp.com",
  "ngrok.io",
  "netlify.app",
  "pages.dev",
  "workers.dev",
  "vercel.app",
  "ts.net",
  "duckdns.org",
];

/** Second levels below which countries register names, as in `example.co.uk`. */
const COUNTRY_LEVELS: ReadonlySet<string> = new Set([
  "ac",
  "co",
  "com",
  "edu",
  "gob",
  "gov",
  "go",
  "mil",
  "ne",
  "net",
  "nom",
  "or",
  "org",
  "sch",
]);

/**
 * The site of a host: the name that somebody registered (`example.com` of `auth.example.com`). Without the public suffix list this errs on
 * the side of the narrower site. Addresses and single names are their own site.
 */
export function siteOf(host: string): string {
  const name = host.toLowerCase();
  if (name.includes(":") || /^[\d.]+$/.test(name)) return name;
  const labels = name.split(".");
  if (labels.length <= 2) return name;
  if (SHARED_SITES.some((site) => name.endsWith("." + site))) return name;
  const isCountry = (labels.at(-1) ?? "").length === 2 && COUNTRY_LEVELS.has(labels.at(-2) ?? "");
  return labels.slice(isCountry ? -3 : -2).join(".");
}

/**
 * Decides on the realm that a registry named (A-015, CVE-2026-33540): https registries have https realms, no host of the network names one on
 * this machine's loopback, and credentials go only to the same origin, host or site, or where the user's configuration says so.
 * @param trustedHosts Hosts that the user's configuration trusts with this registry's credentials.
 * @throws {RegistryError} URL_REFUSED.
 */
export function admitRealm(text: string, registry: URL, trustedHosts: readonly string[]): Realm {
  const what = `the token server of registry "${registry.host}"`;
  const url = admitUrl(text, what);
  const refuse = (why: string) => new RegistryError("URL_REFUSED", `Cannot use ${what}, ${quote(url.origin)}: ${why}`);
  if (registry.protocol === "https:" && url.protocol !== "https:") {
    throw refuse("a registry with TLS must not name one without");
  }
  const [host, registryHost] = [bareHostname(url), bareHostname(registry)];
  if (isLoopbackHost(host) && !isLoopbackHost(registryHost)) {
    throw refuse("a registry on the network must not name this machine's loopback");
  }
  const isTrusted = isSameOrigin(url, registry) || host === registryHost || siteOf(host) === siteOf(registryHost) ||
    (KNOWN_REALMS.get(registryHost) ?? []).includes(host) || trustedHosts.includes(host) ||
    trustedHosts.includes(url.host);
  return { url, isTrusted };
}
