/**
 * IP addresses as four 32-bit words, both families in one form: an IPv4 address is `::ffff:a.b.c.d`. Words are signed, as
 * `DataView.getInt32` gives them, so that they stay small integers and compare by `===`.
 *
 * @module
 */

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
  const groups = parseGroups(isV4 ? `::ffff:${text}` : text);
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

function parseGroups(text: string): number[] | undefined {
  if (text.length > 45) return undefined;
  const halves = text.split("::", 3);
  if (halves.length > 2) return undefined;
  const left = parseHalf(halves[0] ?? "", halves.length === 1);
  const right = parseHalf(halves[1] ?? "", true);
  if (left === undefined || right === undefined) return undefined;
  const missing = 8 - left.length - right.length;
  if (halves.length === 1) return missing === 0 ? left : undefined;
  return missing >= 1 ? [...left, ...Array<number>(missing).fill(0), ...right] : undefined;
}

function parseHalf(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const words = text.split(":");
  for (const [index, word] of words.entries()) {
    if (mayEndInIpv4 && index === words.length - 1 && word.includes(".")) {
      const bytes = word.split(".", 5);
      if (bytes.length !== 4 || !bytes.every((byte) => /^(?:0|[1-9][0-9]{0,2})$/.test(byte) && Number(byte) < 256)) {
        return undefined;
      }
      const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
      groups.push(a * 256 + b, c * 256 + d);
      continue;
    }
    if (!/^[0-9A-Fa-f]{1,4}$/.test(word)) return undefined;
    groups.push(Number.parseInt(word, 16));
  }
  return groups;
}
