/**
 * IP and MAC addresses in text: checked, and given back in their usual form. node:net could tell which is which, but
 * takes a millisecond to load, and a command line needs no sockets.
 *
 * @module
 */

/** An IPv4 address: four numbers of plain decimal digits; `010` and `1.2.3` mean other things elsewhere and are none. */
export function parseIpv4(text: string): string | undefined {
  const parts = text.split(".", 5);
  if (parts.length !== 4) return undefined;
  for (const part of parts) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
  }
  return text;
}

/** An IPv6 address without a zone, in its shortest form (RFC 5952). */
export function parseIpv6(text: string): string | undefined {
  const groups = parseGroups(text);
  if (groups === undefined) return undefined;
  // the longest run of two or more zero groups, the first of equals, is left out
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

/** The eight groups of 16 bits; `undefined` when it is no address. */
function parseGroups(text: string): number[] | undefined {
  if (text.length > 45 || text.length < 2) return undefined;
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
      if (parseIpv4(word) === undefined) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = word.split(".").map(Number);
      groups.push(a * 256 + b, c * 256 + d);
      continue;
    }
    if (!/^[0-9A-Fa-f]{1,4}$/.test(word)) return undefined;
    groups.push(Number.parseInt(word, 16));
  }
  return groups;
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
