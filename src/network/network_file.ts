/**
 * Networks on record: a file each, `networks/NAME.json` in the data directory, written whole. What runs of them is in the
 * runtime directory (`link_file.ts`).
 *
 * @module
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { DugoutError } from "#oci/error.ts";
import { parseJson } from "#oci/json.ts";
import { quote } from "#oci/text.ts";
import { writeFileWhole } from "#storage/write_file_whole.ts";
import { isIn, isWithin, parseAddress, parseSubnet } from "./subnet.ts";

const MAX_FILE_BYTES = 1 << 20;
const LongText = v.pipe(v.string(), v.maxLength(4096));
const Pairs = v.array(v.tuple([LongText, LongText]));

/** Addresses of one family. All as text in their usual form. */
const Range = v.strictObject({
  subnet: v.pipe(v.string(), v.check((text) => parseSubnet(text) !== undefined)),
  gateway: v.pipe(v.string(), v.check((text) => parseAddress(text) !== undefined)),
  /** The part of the subnet from which addresses are given; null: all of it. */
  range: v.nullable(v.pipe(v.string(), v.check((text) => parseSubnet(text) !== undefined))),
  /** Addresses that are given to nobody, by name. */
  reserved: Pairs,
});
export type AddressRange = v.InferOutput<typeof Range>;

const NetworkFile = v.strictObject({
  /** 64 hexadecimal digits. */
  id: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
  name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/)),
  /** ISO 8601. */
  created: v.string(),
  internal: v.boolean(),
  attachable: v.boolean(),
  ipv4: v.nullable(Range),
  ipv6: v.nullable(Range),
  mtu: v.pipe(v.number(), v.integer(), v.minValue(576), v.maxValue(65_520)),
  /** The name of the bridge that it has in the shared namespace. */
  bridge: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,15}$/)),
  /** Addresses of it that lead to this machine's own loopback; null: none do. */
  hostLoopback: v.nullable(v.strictObject({ ipv4: v.nullable(v.string()), ipv6: v.nullable(v.string()) })),
  labels: Pairs,
  /** As they were given. */
  options: Pairs,
});
/** A network. */
export type Network = v.InferOutput<typeof NetworkFile>;

/** The network that containers are in unless they ask for another one. */
export const DEFAULT_NETWORK = "bridge";

export function isNetworkName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(text);
}

function networksDirectory(dataRoot: string): string {
  return join(dataRoot, "networks");
}

function networkPath(dataRoot: string, name: string): string {
  return join(networksDirectory(dataRoot), `${name}.json`);
}

/** Reads a network; undefined where there is none of that name. @throws {DugoutError} NETWORK_DAMAGED. */
export function readNetwork(dataRoot: string, name: string): Network | undefined {
  if (!isNetworkName(name)) return undefined;
  let text: string;
  try {
    text = readFileSync(networkPath(dataRoot, name), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return v.parse(NetworkFile, parseJson(text, `network ${quote(name)}`, { maxBytes: MAX_FILE_BYTES, maxDepth: 8 }));
  } catch (error) {
    throw new DugoutError("NETWORK_DAMAGED", `Cannot read the network ${quote(name)}: its file is damaged`, {
      exitCode: 1,
      hint: `'dugout network rm ${name}' removes it`,
      cause: error,
    });
  }
}

/** All networks on record, by name; and names of those that cannot be read. */
export function listNetworks(dataRoot: string): { networks: Network[]; damaged: string[] } {
  let names: string[] = [];
  try {
    names = readdirSync(networksDirectory(dataRoot)).filter((name) => name.endsWith(".json"));
  } catch {
    // none was ever made
  }
  const networks: Network[] = [];
  const damaged: string[] = [];
  for (const file of names.sort()) {
    const name = file.slice(0, -".json".length);
    try {
      const network = readNetwork(dataRoot, name);
      if (network !== undefined) networks.push(network);
    } catch {
      damaged.push(name);
    }
  }
  return { networks, damaged };
}

/** Finds a network by name, id, or the beginning of an id. */
export function findNetwork(dataRoot: string, text: string): Network | undefined {
  const named = readNetwork(dataRoot, text);
  if (named !== undefined || !/^[0-9a-f]{1,64}$/.test(text)) return named;
  const matching = listNetworks(dataRoot).networks.filter(({ id }) => id.startsWith(text));
  if (matching.length > 1) {
    throw new DugoutError(
      "NETWORK_AMBIGUOUS",
      `Cannot tell which network ${quote(text)} is: ${matching.length} ids begin so`,
      { exitCode: 1 },
    );
  }
  return matching[0];
}

/** Puts a network on record. */
export function writeNetwork(dataRoot: string, network: Network): void {
  mkdirSync(networksDirectory(dataRoot), { recursive: true, mode: 0o700 });
  writeFileWhole(networkPath(dataRoot, network.name), JSON.stringify(network));
}

/** Takes a network off the record. */
export function forgetNetwork(dataRoot: string, name: string): void {
  rmSync(networkPath(dataRoot, name), { force: true });
}

/** Why the addresses of a range do not fit together; undefined where they do. */
export function findRangeFault({ subnet, gateway, range, reserved }: AddressRange): string | undefined {
  const all = parseSubnet(subnet)!;
  if (!isIn(all, parseAddress(gateway)!)) return `the gateway ${gateway} is not in the subnet ${subnet}`;
  if (range !== null && !isWithin(parseSubnet(range)!, all)) return `the range ${range} is not in the subnet ${subnet}`;
  for (const [, text] of reserved) {
    const address = parseAddress(text);
    if (address === undefined || !isIn(all, address)) return `the address ${text} is not in the subnet ${subnet}`;
  }
  return undefined;
}
