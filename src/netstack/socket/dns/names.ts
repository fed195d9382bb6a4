/**
 * The names of a network's containers: what the name server answers of its own.
 *
 * @module
 */
import { type Family, formatIpAddress, type IpAddress, isIpv4 } from "../../ip_address.ts";
import { addressOfReverseName } from "../../wire/dns.ts";

/** A name and all that it means now; no address at all: it is a container's that does not run, and nobody else's. */
export interface NameEntry {
  readonly name: string;
  readonly addresses: readonly IpAddress[];
}

/** A name that is no container's any more is nobody else's for so long: clients that still ask hear that there is none. */
const FORMER_MS = 600_000;
const MAX_FORMER = 1024;

/** The names of one network. */
export interface NameTable {
  /** Lower case, without a dot at the end. */
  readonly addresses: ReadonlyMap<string, readonly IpAddress[]>;
  /** The first name of each address, by its text. */
  readonly names: ReadonlyMap<string, string>;
  /** Names without a dot that containers had lately, and until when they are kept from strangers. */
  readonly former: ReadonlyMap<string, number>;
}

/** @param before The table that this one takes the place of. */
export function makeNameTable(entries: readonly NameEntry[], before?: NameTable, nowMs = 0): NameTable {
  const addresses = new Map<string, readonly IpAddress[]>();
  const names = new Map<string, string>();
  for (const { name, addresses: some } of entries) {
    const key = name.toLowerCase().replace(/\.$/, "");
    // an alias may stand for several containers
    addresses.set(key, [...(addresses.get(key) ?? []), ...some]);
    for (const address of some) {
      const text = formatIpAddress(address);
      if (!names.has(text)) names.set(text, key);
    }
  }
  const former = new Map<string, number>();
  for (const [name, untilMs] of before?.former ?? []) if (untilMs > nowMs) former.set(name, untilMs);
  for (const name of before?.addresses.keys() ?? []) if (!name.includes(".")) former.set(name, nowMs + FORMER_MS);
  for (const name of former.keys()) if (addresses.has(name) || former.size > MAX_FORMER) former.delete(name);
  return { addresses, names, former };
}

/** The addresses of one family that a name has, beginning with another one each time; undefined when it is not the table's. */
export function findAddresses(table: NameTable, name: string, family: Family, turn: number): IpAddress[] | undefined {
  const found = table.addresses.get(name);
  if (found === undefined) return undefined;
  const fitting = found.filter((address) => isIpv4(address) === (family === 4));
  const first = fitting.length === 0 ? 0 : turn % fitting.length;
  return [...fitting.slice(first), ...fitting.slice(0, first)];
}

/** The address that a name of the reverse tree asks for. */
export function reverseAddress(name: string): IpAddress | undefined {
  const bytes = addressOfReverseName(name);
  if (bytes === undefined) return undefined;
  const view = new DataView(bytes.buffer);
  if (bytes.length === 4) return { a: 0, b: 0, c: 0xffff, d: view.getInt32(0) };
  return { a: view.getInt32(0), b: view.getInt32(4), c: view.getInt32(8), d: view.getInt32(12) };
}

/** An address as the data of an A or AAAA record. */
export function addressData({ a, b, c, d }: IpAddress, family: Family): Uint8Array {
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  const view = new DataView(bytes.buffer);
  if (family === 4) {
    view.setInt32(0, d);
    return bytes;
  }
  view.setInt32(0, a);
  view.setInt32(4, b);
  view.setInt32(8, c);
  view.setInt32(12, d);
  return bytes;
}
