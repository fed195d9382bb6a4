/**
 * IP and MAC addresses in text: checked, and given back in their usual form.
 *
 * @module
 */

import { formatIpv6Groups, parseIpv4Bytes, parseIpv6Groups } from "#linux/ip_text.ts";

/** An IPv4 address, dotted. */
export function parseIpv4(text: string): string | undefined {
  return parseIpv4Bytes(text) === undefined ? undefined : text;
}

/** An IPv6 address without a zone, in its shortest form (RFC 5952). */
export function parseIpv6(text: string): string | undefined {
  const groups = parseIpv6Groups(text);
  return groups === undefined ? undefined : formatIpv6Groups(groups);
}

/** An address of either kind, IPv6 with or without brackets. */
export function parseIp(text: string): string | undefined {
  if (text.startsWith("[") && text.endsWith("]")) return parseIpv6(text.slice(1, -1));
  return parseIpv4(text) ?? parseIpv6(text);
}

/** A MAC address of 48 bits, with colons or dashes: given back with colons, in lower case. */
export function parseMac(text: string): string | undefined {
  const match = /^[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}$/.exec(text);
  return match === null ? undefined : text.toLowerCase().replaceAll("-", ":");
}
