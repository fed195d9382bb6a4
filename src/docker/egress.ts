/**
 * `--egress`: where a container may connect to. `deny`: nowhere; `allow:` and a list of names, addresses and ranges, each with a
 * port where one is meant: `allow:example.org:443,*.example.net,192.0.2.0/24,[2001:db8::/32]:443`.
 *
 * @module
 */
import { parseIp } from "./address.ts";
import { flagError } from "./flag_error.ts";
import type { EgressRequest } from "./run_request.ts";

const FLAG = "--egress";
const HINT = "For example allow:example.org:443,192.0.2.0/24, or deny";

/** Reads one `--egress`. What none of a container's rules allows is denied. @throws {DugoutError} FLAG_INVALID. */
export function parseEgress(text: string): EgressRequest[] {
  if (text === "deny") return [{ action: "deny", to: undefined, port: undefined }];
  if (!text.startsWith("allow:") || text === "allow:") {
    throw flagError(FLAG, text, "it is deny, or allow: and a list", HINT);
  }
  return text.slice("allow:".length).split(",").map((part) => {
    const rule = parsePart(part.trim());
    if (rule === undefined) throw flagError(FLAG, text, `"${part.slice(0, 100)}" is no name, address or range`, HINT);
    return { action: "allow", ...rule };
  });
}

function parsePart(part: string): { to: string; port: number | undefined } | undefined {
  const bracketed = /^\[([^\]]{1,60})\](?::([0-9]{1,5}))?$/.exec(part);
  const plain = /^([^:]{1,253})(?::([0-9]{1,5}))?$/.exec(part);
  // an IPv6 address or range without brackets has no port
  const [, to = part, digits] = bracketed ?? plain ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined;
  if (isAddressOrRange(to)) return { to, port };
  if (bracketed !== null) return undefined;
  const isName = /^(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,250}[A-Za-z0-9])?$/.test(to) && !to.includes("..");
  // a name of digits alone is an address that was mistyped
  return isName && !/^[0-9.]+$/.test(to) ? { to: to.toLowerCase(), port } : undefined;
}

function isAddressOrRange(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  if (rest.length > 0 || parseIp(address) === undefined || address.startsWith("[")) return false;
  return bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= (address.includes(":") ? 128 : 32));
}
