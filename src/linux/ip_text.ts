/**
 * IP addresses in text, as numbers: what every form of an address in this program is read from and written by.
 * inet_pton(3) would mean a library, and node:net takes a millisecond to load.
 *
 * @module
 */

/** What separates the longest address from what is surely none (INET6_ADDRSTRLEN − 1). */
const MOST_CHARACTERS = 45;

/**
 * An IPv4 address: four numbers of plain decimal digits; `010` and `1.2.3` mean other things elsewhere and are none.
 * @returns Its four bytes.
 */
export function parseIpv4Bytes(text: string): readonly [number, number, number, number] | undefined {
  const parts = text.split(".", 5);
  if (parts.length !== 4) return undefined;
  if (!parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) return undefined;
  const [a = 0, b = 0, c = 0, d = 0] = parts.map(Number);
  return [a, b, c, d];
}

/**
 * An IPv6 address without zone or brackets (RFC 4291 §2.2); its end may be written as an IPv4 address.
 * @returns Its eight groups of 16 bits.
 */
export function parseIpv6Groups(text: string): number[] | undefined {
  if (text.length > MOST_CHARACTERS) return undefined;
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
      const bytes = parseIpv4Bytes(word);
      if (bytes === undefined) return undefined;
      groups.push(bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]);
      continue;
    }
    if (!/^[0-9A-Fa-f]{1,4}$/.test(word)) return undefined;
    groups.push(Number.parseInt(word, 16));
  }
  return groups;
}

/** The shortest form of eight groups (RFC 5952): the longest run of two or more zeros, the first of equals, is left out. */
export function formatIpv6Groups(groups: readonly number[]): string {
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
