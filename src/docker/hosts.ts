/**
 * `--add-host`, `--dns`, `--dns-search`, `--dns-option`, `--hostname`, `--domainname`: what becomes lines of /etc/hosts,
 * /etc/hostname and /etc/resolv.conf. No value may hold a line's end.
 *
 * @module
 */
import { parseIp } from "./address.ts";
import { flagError } from "./flag_error.ts";
import type { HostEntry } from "./run_request.ts";

/** A host's name as files have it: letters, digits, `.`, `_`, `-`, beginning and ending with a letter or digit. */
function isHostName(text: string, most: number): boolean {
  return text.length <= most && /^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?$/.test(text) && !text.includes("..");
}

/** Reads one `NAME:ADDRESS` or `NAME=ADDRESS`; the address may be `host-gateway`, and IPv6 may have brackets. */
export function parseHostEntry(text: string): HostEntry {
  const flag = "--add-host";
  const at = text.search(/[:=]/);
  if (at === -1) throw flagError(flag, text, "not NAME:ADDRESS", "For example db:192.0.2.7, or host:host-gateway");
  const name = text.slice(0, at);
  const addressText = text.slice(at + 1);
  if (!isHostName(name, 253)) throw flagError(flag, text, "the name is no host name");
  if (addressText === "host-gateway") return { name, address: { kind: "host-gateway" } };
  const address = parseIp(addressText);
  if (address === undefined) throw flagError(flag, text, "the address is neither IPv4 nor IPv6");
  return { name, address };
}

/** Reads one `--dns`. */
export function parseDnsServer(text: string): string {
  const address = parseIp(text);
  if (address === undefined) throw flagError("--dns", text, "it is neither an IPv4 nor an IPv6 address");
  return address;
}

/** Reads one `--dns-search`; `.` alone means no search list. */
export function parseDnsSearch(text: string): string {
  if (text === ".") return text;
  const domain = text.endsWith(".") ? text.slice(0, -1) : text;
  if (!isHostName(domain, 253)) throw flagError("--dns-search", text, "it is no domain name");
  return domain;
}

/** Reads one `--dns-option`: `ndots:2`, `rotate` (resolv.conf(5)). */
export function parseDnsOption(text: string): string {
  if (!/^[a-z0-9-]{1,40}(?::[0-9]{1,9})?$/.test(text)) {
    throw flagError("--dns-option", text, "it is no option of resolv.conf", "For example ndots:2 or rotate");
  }
  return text;
}

/** Reads `--hostname` or `--domainname`: at most 64 bytes (sethostname(2)). */
export function parseHostName(text: string, flag: "--hostname" | "--domainname"): string {
  if (!isHostName(text, 64)) {
    throw flagError(
      flag,
      text,
      "a name has at most 64 letters, digits, dots and dashes, and begins and ends with a letter or digit",
    );
  }
  return text;
}
