import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { bareHostname, isLoopbackHost, portOf } from "./url_gate.ts";

/** The proxy of the environment for our own requests. */
export interface Proxy {
  hostname: string;
  port: number;
  /** `Basic …` of the user in the proxy's address. */
  authorization?: string;
}

/** `NAME=value` as in process.env. */
export type Environment = Readonly<Record<string, string | undefined>>;

function variable(env: Environment, name: string): string {
  return env[name.toLowerCase()] || env[name] || "";
}

function ipv4Number(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

function isInRange(host: string, range: string): boolean {
  const [base = "", bits = ""] = range.split("/");
  const [address, network] = [ipv4Number(host), ipv4Number(base)];
  if (address === undefined || network === undefined || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return false;
  const size = 2 ** (32 - Number(bits));
  return Math.floor(address / size) === Math.floor(network / size);
}

/** Whether NO_PROXY names the host: `*`, a name and what is below it, an address, an IPv4 range, each with or without a port. */
export function isProxyExcluded(url: URL, noProxy: string): boolean {
  const host = bareHostname(url).toLowerCase();
  for (const raw of noProxy.slice(0, 100_000).split(",")) {
    let entry = raw.trim().toLowerCase();
    if (entry === "") continue;
    if (entry === "*") return true;
    const port = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(entry);
    if (port !== null) {
      if (Number(port[3]) !== portOf(url)) continue;
      entry = port[1] ?? port[2] ?? "";
    }
    entry = entry.replace(/^\[|\]$/g, "").replace(/^\*?\./, "");
    if (host === entry || (host.endsWith("." + entry) && ipv4Number(host) === undefined) || isInRange(host, entry)) {
      return true;
    }
  }
  return false;
}

/**
 * Finds the proxy for an address: HTTPS_PROXY or HTTP_PROXY by its scheme, lower-case names first; never for the loopback, nor what
 * NO_PROXY names.
 * @throws {DugoutError} PROXY_INVALID when the variable is not an http:// address.
 */
export function findProxy(url: URL, env: Environment): Proxy | undefined {
  const name = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const value = variable(env, name);
  if (value === "" || isLoopbackHost(url.hostname) || isProxyExcluded(url, variable(env, "NO_PROXY"))) return undefined;
  let proxy: URL;
  try {
    proxy = new URL(value.includes("://") ? value : `http://${value}`);
  } catch {
    // the value may hold a password, so it is not shown
    throw new DugoutError(
      "PROXY_INVALID",
      `Cannot use the proxy of the variable ${quote(name)}: not an address such as "http://host:3128"`,
    );
  }
  if (proxy.protocol !== "http:") {
    throw new DugoutError(
      "PROXY_INVALID",
      `Cannot use the proxy of the variable ${quote(name)}: its scheme is ${quote(proxy.protocol)}`,
      {
        hint: "Only http:// proxies are supported; requests to https addresses are tunnelled through them",
      },
    );
  }
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return {
    hostname: bareHostname(proxy),
    port: portOf(proxy),
    ...(user === ":" ? {} : { authorization: `Basic ${Buffer.from(user).toString("base64")}` }),
  };
}
