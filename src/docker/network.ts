/**
 * `--network`: a mode or a network's name; or the long form, `name=…,alias=…,ip=…`.
 *
 * @module
 */
import { parseIp, parseIpv4, parseIpv6, parseMac } from "./address.ts";
import { parseCsvRecord } from "./csv.ts";
import { flagError } from "./flag_error.ts";
import { parseContainerMode } from "./namespaces.ts";
import type { EndpointRequest, LinkRequest, NetworkMode } from "./run_request.ts";
import { isObjectName, parseInteger, splitOnce } from "./text_rules.ts";

const FLAG = "--network";

/** A mode or a name. */
export function parseNetworkMode(text: string): NetworkMode {
  switch (text) {
    case "default":
    // Podman's word for a namespace of its own
    case "private":
    case "":
      return { kind: "default" };
    case "host":
    case "none":
    case "pasta":
      return { kind: text };
    case "slirp":
    case "slirp4netns":
      return { kind: "slirp" };
    default: {
      const container = parseContainerMode(FLAG, text);
      if (container !== undefined) return container;
      if (!isObjectName(text)) {
        throw flagError(FLAG, text, "it is host, none, container:ID, slirp, or a network's name");
      }
      return { kind: "bridge", network: text };
    }
  }
}

/** An endpoint that asks for nothing. */
export function newEndpoint(network: NetworkMode): EndpointRequest {
  return {
    network,
    aliases: [],
    ipv4: undefined,
    ipv6: undefined,
    linkLocal: [],
    macAddress: undefined,
    driverOptions: new Map(),
    gatewayPriority: 0,
  };
}

/** A name by which others find the container in a network: a label of the DNS. */
export function parseNetworkAlias(text: string, flag = "--network-alias"): string {
  if (!/^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?$/.test(text)) {
    throw flagError(flag, text, "the alias is no host name");
  }
  return text;
}

/** Reads one `--link`: `CONTAINER[:ALIAS]`. */
export function parseLink(text: string): LinkRequest {
  const [container, alias = container] = splitOnce(text, ":");
  if (!isObjectName(container) && !/^[0-9a-f]{1,64}$/.test(container)) {
    throw flagError("--link", text, "it is NAME or NAME:ALIAS");
  }
  return { container, alias: parseNetworkAlias(alias, "--link") };
}

/**
 * Reads one `--network`. It is the long form when a key and `=` stand in it; `name` is then needed.
 * @throws {DugoutError} FLAG_INVALID.
 */
export function parseNetwork(text: string): EndpointRequest {
  if (!text.includes("=")) return newEndpoint(parseNetworkMode(text));
  const fields = parseCsvRecord(text);
  if (fields === undefined) throw flagError(FLAG, text, "not a list of key=value pairs");
  const fail = (why: string, hint?: string) => flagError(FLAG, text, why, hint);
  const endpoint = newEndpoint({ kind: "default" });
  const seen = new Set<string>();
  for (const field of fields) {
    const [rawKey, value] = splitOnce(field, "=");
    const key = rawKey.trim().toLowerCase();
    if (value === undefined) throw fail(`"${rawKey.slice(0, 100)}" needs a value`);
    if (!applyKey(endpoint, key, value, fail)) {
      throw fail(`there is no key "${rawKey.slice(0, 100)}"`, `Keys are ${KEYS.join(", ")}`);
    }
    if (seen.has(key) && !REPEATABLE.has(key)) throw fail(`"${key}" is given twice`);
    seen.add(key);
  }
  if (!seen.has("name")) throw fail('"name" is missing', "For example name=mynet,alias=db");
  return endpoint;
}

const KEYS = ["name", "alias", "ip", "ip6", "mac-address", "driver-opt", "link-local-ip", "gw-priority"];
const REPEATABLE: ReadonlySet<string> = new Set(["alias", "driver-opt", "link-local-ip"]);

function applyKey(endpoint: EndpointRequest, key: string, value: string, fail: (why: string) => Error): boolean {
  const need = <T>(parsed: T | undefined, what: string): T => {
    if (parsed === undefined) throw fail(`"${key}" is no ${what}`);
    return parsed;
  };
  switch (key) {
    case "name":
      endpoint.network = parseNetworkMode(need(value === "" ? undefined : value, "name"));
      return true;
    case "alias":
      endpoint.aliases.push(parseNetworkAlias(value, FLAG));
      return true;
    case "ip":
      endpoint.ipv4 = need(parseIpv4(value), "IPv4 address");
      return true;
    case "ip6":
      endpoint.ipv6 = need(parseIpv6(value), "IPv6 address");
      return true;
    case "mac-address":
      endpoint.macAddress = need(parseMac(value), "MAC address");
      return true;
    case "link-local-ip":
      endpoint.linkLocal.push(need(parseIp(value), "address"));
      return true;
    case "driver-opt": {
      const [name, option] = splitOnce(value, "=");
      need(name === "" ? undefined : option, "NAME=VALUE");
      endpoint.driverOptions.set(name, option ?? "");
      return true;
    }
    case "gw-priority":
      endpoint.gatewayPriority = need(parseInteger(value, -(2 ** 31), 2 ** 31 - 1), "number");
      return true;
    default:
      return false;
  }
}
