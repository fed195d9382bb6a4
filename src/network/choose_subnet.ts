/**
 * A subnet for a network that asks for none: one that nothing on this machine leads to, and no other network has.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { randomBytes } from "#linux/random.ts";
import { overlap, parseSubnet, type Subnet } from "./subnet.ts";

/** The default network's, in this order. */
const DEFAULT_POOL = { base: "10.88.0.0/13", bits: 16 } as const;
/** Those of other networks. */
const POOLS = [{ base: "10.96.0.0/11", bits: 24 }, { base: "172.16.0.0/12", bits: 24 }, {
  base: "192.168.0.0/16",
  bits: 24,
}] as const;

/** The first subnet of a pool that overlaps none of those. */
function findFree(
  pool: { readonly base: string; readonly bits: number },
  taken: readonly Subnet[],
): Subnet | undefined {
  const all = parseSubnet(pool.base)!;
  const step = 1n << BigInt(32 - pool.bits);
  const count = 1 << (pool.bits - all.bits);
  for (let index = 0; index < count; index++) {
    const subnet: Subnet = { family: 4, base: all.base + step * BigInt(index), bits: pool.bits };
    if (!taken.some((other) => overlap(subnet, other))) return subnet;
  }
  return undefined;
}

/** @param taken Of other networks and of the host. @returns Undefined where there is none left. */
export function chooseIpv4Subnet(taken: readonly Subnet[], isDefault: boolean): Subnet | undefined {
  for (const pool of isDefault ? [DEFAULT_POOL, ...POOLS] : POOLS) {
    const found = findFree(pool, taken);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** A unique local prefix by chance (RFC 4193). */
export function chooseIpv6Subnet(): Subnet {
  const [a, b, c, d, e] = randomBytes(5);
  const value = [0xfd, a!, b!, c!, d!, e!, 0, 0].reduce((sum, byte) => sum << 8n | BigInt(byte), 0n);
  return { family: 6, base: value << 64n, bits: 64 };
}

/**
 * Where this machine's routes lead (/proc/net/route, fields of hexadecimal in the machine's order), but for the default one.
 * A machine without IPv4 has no such file.
 */
export function readHostRoutes(): Subnet[] {
  let text: string;
  try {
    text = readFileSync("/proc/net/route", "latin1");
  } catch {
    return [];
  }
  return text.split("\n").slice(1).flatMap((line): Subnet[] => {
    const fields = line.split("\t");
    const [destination, mask] = [fields[1], fields[7]].map((field) => swap(Number.parseInt(field ?? "", 16)));
    if (Number.isNaN(destination) || mask === undefined || Number.isNaN(mask) || mask === 0) return [];
    return [{ family: 4, base: BigInt(destination!), bits: 32 - Math.log2(2 ** 32 - mask) }];
  });
}

function swap(value: number): number {
  if (Number.isNaN(value)) return value;
  const bytes = new DataView(new ArrayBuffer(4));
  bytes.setUint32(0, value);
  return bytes.getUint32(0, true);
}
