/**
 * IP addresses as four 32-bit words, both families in one form: an IPv4 address is `::ffff:a.b.c.d`. Words are signed, as
 * `DataView.getInt32` gives them, so that they stay small integers and compare by `===`.
 *
 * @module
 */
import { formatIpv6Groups, parseIpv6Groups } from "#linux/ip_text.ts";

/** A family's number in IP headers. */
export type Family = 4 | 6;

/** An address; records of it are made once and filled again and again. */
export interface IpAddress {
  a: number;
  b: number;
  c: number;
  d: number;
}

/** The third word of an IPv4 address in this form. */
export const V4_MARK = 0xffff;

/** The unspecified address of IPv6. */
export function makeAddress(): IpAddress {
  return { a: 0, b: 0, c: 0, d: 0 };
}

export function isIpv4(address: IpAddress): boolean {
  return address.a === 0 && address.b === 0 && address.c === V4_MARK;
}

export function sameAddress(one: IpAddress, other: IpAddress): boolean {
  return one.d === other.d && one.c === other.c && one.b === other.b && one.a === other.a;
}

export function copyAddress(to: IpAddress, from: IpAddress): void {
  to.a = from.a;
  to.b = from.b;
  to.c = from.c;
  to.d = from.d;
}

/** A range of addresses: `length` of the leading bits of `base` count, 0 to 128; an IPv4 prefix has 96 more. */
export interface Prefix {
  base: IpAddress;
  length: number;
}

export function isInPrefix(address: IpAddress, { base, length }: Prefix): boolean {
  return sameBits(address.a, base.a, length) && sameBits(address.b, base.b, length - 32) &&
    sameBits(address.c, base.c, length - 64) && sameBits(address.d, base.d, length - 96);
}

function sameBits(one: number, other: number, bits: number): boolean {
  if (bits <= 0) return true;
  return ((one ^ other) & (bits >= 32 ? -1 : ~(0xffffffff >>> bits))) === 0;
}

/** Reads an address of either family without zone or brackets; undefined when it is none. */
export function parseIpAddress(text: string): IpAddress | undefined {
  const isV4 = !text.includes(":");
  // "bad" is four digits of an IPv6 address, and no address
  if (isV4 && !text.includes(".")) return undefined;
  const groups = parseIpv6Groups(isV4 ? `::ffff:${text}` : text);
  if (groups === undefined) return undefined;
  const word = (index: number) => ((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0);
  return { a: word(0), b: word(2), c: word(4), d: word(6) };
}

/** Reads `ADDRESS/LENGTH`; bits behind the prefix may be set, as in an interface's address. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  const base = parseIpAddress(text.slice(0, slash));
  if (slash === -1 || base === undefined || !/^[0-9]{1,3}$/.test(text.slice(slash + 1))) return undefined;
  const length = Number(text.slice(slash + 1)) + (isIpv4(base) ? 96 : 0);
  return length <= 128 ? { base, length } : undefined;
}

/** The usual form of an address: dotted, or that of RFC 5952. */
export function formatIpAddress(address: IpAddress): string {
  if (isIpv4(address)) {
    return `${address.d >>> 24}.${(address.d >>> 16) & 255}.${(address.d >>> 8) & 255}.${address.d & 255}`;
  }
  const groups = [address.a, address.b, address.c, address.d].flatMap((word) => [word >>> 16, word & 0xffff]);
  return formatIpv6Groups(groups);
}
