/**
 * Addresses and ranges of both families as numbers, so that they can be counted, compared and written.
 *
 * @module
 */

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
  if (text.length > 45) return undefined;
  if (!text.includes(":")) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { family: 4, value };
  }
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map(parseGroups);
  if (left === undefined || (halves.length === 2 && right === undefined)) return undefined;
  const missing = 8 - left.length - (right?.length ?? 0);
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...left, ...Array<number>(missing).fill(0), ...(right ?? [])];
  return { family: 6, value: groups.reduce((sum, group) => sum << 16n | BigInt(group), 0n) };
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((sum, part) => sum << 8n | BigInt(part), 0n);
}

/** Groups of 16 bits; the last two may be written as an IPv4 address. */
function parseGroups(text: string): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  for (const word of text.split(":")) {
    if (word.includes(".")) {
      const value = parseIpv4(word);
      if (value === undefined || !text.endsWith(word)) return undefined;
      groups.push(Number(value >> 16n), Number(value & 0xffffn));
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(word)) groups.push(Number.parseInt(word, 16));
    else return undefined;
  }
  return groups;
}

/** The usual form: dotted, or that of RFC 5952. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String(value >> shift & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => Number(value >> BigInt(112 - index * 16) & 0xffffn));
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const words = groups.map((group) => group.toString(16));
  if (best.length === 1) return words.join(":");
  return `${words.slice(0, best.start).join(":")}::${words.slice(best.start + best.length).join(":")}`;
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
