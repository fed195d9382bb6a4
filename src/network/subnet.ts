/**
 * Addresses and ranges of both families as numbers, so that they can be counted, compared and written.
 *
 * @module
 */
import { formatIpv6Groups, parseIpv4Bytes, parseIpv6Groups } from "#linux/ip_text.ts";

/** An address. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** All addresses whose first `bits` bits are those of `base`; the others are 0 there. */
export interface Subnet {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly bits: number;
}

const WIDTH = { 4: 32, 6: 128 } as const;

/** Reads an address without zone or brackets; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  const bytes = parseIpv4Bytes(text);
  if (bytes !== undefined) return { family: 4, value: joinNumbers(bytes, 8n) };
  const groups = parseIpv6Groups(text);
  return groups === undefined ? undefined : { family: 6, value: joinNumbers(groups, 16n) };
}

function joinNumbers(numbers: readonly number[], bits: bigint): bigint {
  return numbers.reduce((sum, number) => sum << bits | BigInt(number), 0n);
}

/** The usual form: dotted, or that of RFC 5952. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String(value >> shift & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => Number(value >> BigInt(112 - index * 16) & 0xffffn));
  return formatIpv6Groups(groups);
}

/** Four or sixteen bytes in the network's order. */
export function addressBytes({ family, value }: Address): Uint8Array {
  const bytes = new Uint8Array(WIDTH[family] / 8);
  for (let index = bytes.length - 1, rest = value; index >= 0; index--, rest >>= 8n) bytes[index] = Number(rest & 255n);
  return bytes;
}

/** Reads `ADDRESS/BITS`; bits behind the prefix may be set and are taken away. */
export function parseSubnet(text: string): Subnet | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? undefined : parseAddress(text.slice(0, slash));
  const bitsText = text.slice(slash + 1);
  if (address === undefined || !/^[0-9]{1,3}$/.test(bitsText)) return undefined;
  const bits = Number(bitsText);
  if (bits > WIDTH[address.family]) return undefined;
  return subnetOf(address, bits);
}

/** The subnet of that size in which the address lies. */
export function subnetOf({ family, value }: Address, bits: number): Subnet {
  const rest = BigInt(WIDTH[family] - bits);
  return { family, base: value >> rest << rest, bits };
}

export function formatSubnet({ family, base, bits }: Subnet): string {
  return `${formatAddress({ family, value: base })}/${bits}`;
}

/** Its last address: of IPv4 the one for all hosts. */
export function lastAddress({ family, base, bits }: Subnet): bigint {
  return base + (1n << BigInt(WIDTH[family] - bits)) - 1n;
}

export function isIn(subnet: Subnet, { family, value }: Address): boolean {
  return family === subnet.family && value >= subnet.base && value <= lastAddress(subnet);
}

export function overlap(one: Subnet, other: Subnet): boolean {
  return one.family === other.family && one.base <= lastAddress(other) && other.base <= lastAddress(one);
}

/** Whether all of `inner` is in `outer`. */
export function isWithin(inner: Subnet, outer: Subnet): boolean {
  return inner.family === outer.family && inner.base >= outer.base && lastAddress(inner) <= lastAddress(outer);
}

/** The first and last address that a host may have: of IPv4 neither the network's own nor the one for all. */
export function hostRange(subnet: Subnet): { first: bigint; last: bigint } {
  const last = lastAddress(subnet);
  const isTiny = WIDTH[subnet.family] - subnet.bits <= 1;
  if (isTiny) return { first: subnet.base, last };
  // of IPv6 the first is every router's
  return { first: subnet.base + 1n, last: subnet.family === 4 ? last - 1n : last };
}
