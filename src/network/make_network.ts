/**
 * Making a network: its addresses are chosen where nobody has, and checked against those of others.
 *
 * @module
 */
import { randomHex } from "#linux/random.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { chooseIpv4Subnet, chooseIpv6Subnet, readHostRoutes } from "./choose_subnet.ts";
import { withNetworkLock } from "./holder.ts";
import {
  type AddressRange,
  DEFAULT_NETWORK,
  findRangeFault,
  isNetworkName,
  listNetworks,
  type Network,
  readNetwork,
  writeNetwork,
} from "./network_file.ts";
import {
  formatAddress,
  formatSubnet,
  hostRange,
  isIn,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from "./subnet.ts";

/** What is asked for; addresses as text. */
export interface NetworkSpec {
  readonly name: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly subnets: readonly string[];
  readonly gateways: readonly string[];
  readonly ranges: readonly string[];
  /** Name and address. */
  readonly reserved: readonly (readonly [string, string])[];
  readonly mtu: number | undefined;
  readonly bridge: string | undefined;
  /** Whether an address of it leads to this machine's own loopback. */
  readonly hostLoopback: boolean;
  readonly labels: readonly (readonly [string, string])[];
  readonly options: readonly (readonly [string, string])[];
}

/** The largest IP datagram of a network that asks for nothing: as the stack takes it. */
export const DEFAULT_MTU = 65_520;

/** Where networks are. */
export interface Places {
  readonly dataRoot: string;
  readonly runRoot: string;
}

const NEVER_NETWORKS: ReadonlySet<string> = new Set([
  "host",
  "none",
  "default",
  "private",
  "slirp",
  "slirp4netns",
  "pasta",
  "container",
]);

function refuse(code: string, why: string, hint?: string): DugoutError {
  return new DugoutError(code, why, { exitCode: 1, hint });
}

/** A network that asks for nothing. */
export function newNetworkSpec(name: string): NetworkSpec {
  return {
    name,
    internal: false,
    attachable: false,
    ipv4: true,
    ipv6: false,
    subnets: [],
    gateways: [],
    ranges: [],
    reserved: [],
    mtu: undefined,
    bridge: undefined,
    hostLoopback: false,
    labels: [],
    options: [],
  };
}

/** What came of a wish for a network. */
export interface MadeNetwork {
  readonly network: Network;
  readonly isNew: boolean;
}

/**
 * Makes a network and puts it on record.
 * @param mayExist Whether one of the name will do, whatever it is like.
 * @throws {DugoutError} NETWORK_EXISTS, NETWORK_INVALID, SUBNET_IN_USE, SUBNETS_GONE.
 */
export function makeNetwork(places: Places, spec: NetworkSpec, mayExist = false): Promise<MadeNetwork> {
  if (!isNetworkName(spec.name) || NEVER_NETWORKS.has(spec.name)) {
    throw refuse(
      "NETWORK_INVALID",
      `Cannot make the network ${quote(spec.name)}: that is no name for one`,
      "letters, digits, '_', '.', '-'; not host, none or default",
    );
  }
  return withNetworkLock(places.runRoot, () => {
    const existing = readNetwork(places.dataRoot, spec.name);
    if (existing === undefined && spec.name !== DEFAULT_NETWORK) {
      return { network: recordNetwork(places, spec), isNew: true };
    }
    if (!mayExist) throw refuse("NETWORK_EXISTS", `network with name ${spec.name} already exists`);
    return { network: existing ?? ensureDefaultNetwork(places), isNew: false };
  });
}

/** The default network; made at its first use, by whoever has the network's lock. */
export function ensureDefaultNetwork(places: Places): Network {
  return readNetwork(places.dataRoot, DEFAULT_NETWORK) ?? recordNetwork(places, newNetworkSpec(DEFAULT_NETWORK));
}

/** The default network as it is, or as it would be made. */
export function peekDefaultNetwork(places: Places): Network {
  return readNetwork(places.dataRoot, DEFAULT_NETWORK) ?? planNetwork(places, newNetworkSpec(DEFAULT_NETWORK));
}

function recordNetwork(places: Places, spec: NetworkSpec): Network {
  const network = planNetwork(places, spec);
  writeNetwork(places.dataRoot, network);
  return network;
}

function planNetwork(places: Places, spec: NetworkSpec): Network {
  const others = listNetworks(places.dataRoot).networks;
  const id = randomHex(32);
  const taken = others.flatMap(({ ipv4, ipv6 }) =>
    [ipv4, ipv6].flatMap((range) => range === null ? [] : parseSubnet(range.subnet)!)
  );
  const given = spec.subnets.map((text) => {
    const subnet = parseSubnet(text);
    if (subnet === undefined) throw refuse("NETWORK_INVALID", `invalid subnet ${text}: it is no ADDRESS/BITS`);
    if (subnet.family === 4 ? subnet.bits < 8 || subnet.bits > 30 : subnet.bits < 16 || subnet.bits > 126) {
      throw refuse(
        "NETWORK_INVALID",
        `invalid subnet ${text}: it is too small for a gateway and a container, or too large`,
      );
    }
    if (taken.some((other) => overlap(subnet, other))) {
      throw refuse(
        "SUBNET_IN_USE",
        `invalid pool request: Pool overlaps with other one on this address space: ${text}`,
        "'dugout network inspect' tells those of the others",
      );
    }
    return subnet;
  });
  for (const family of [4, 6] as const) {
    if (given.filter((subnet) => subnet.family === family).length > 1) {
      throw refuse("NETWORK_INVALID", `a network has one IPv${family} subnet`);
    }
  }
  const wants6 = spec.ipv6 || given.some(({ family }) => family === 6);
  const ipv4 = spec.ipv4
    ? given.find(({ family }) => family === 4) ??
      chooseIpv4Subnet([...taken, ...readHostRoutes()], spec.name === DEFAULT_NETWORK)
    : null;
  if (ipv4 === undefined) {
    throw refuse("SUBNETS_GONE", "Cannot find a subnet for the network: all are in use", "name one with --subnet");
  }
  const ipv6 = wants6 ? given.find(({ family }) => family === 6) ?? chooseIpv6Subnet() : null;
  if (ipv4 === null && ipv6 === null) throw refuse("NETWORK_INVALID", "IPv4 or IPv6 must be enabled");
  const used = { gateways: new Set<string>(), ranges: new Set<string>(), reserved: new Set<string>() };
  const network: Network = {
    id,
    name: spec.name,
    created: new Date().toISOString(),
    internal: spec.internal,
    attachable: spec.attachable,
    ipv4: ipv4 === null ? null : rangeOf(ipv4, spec, used),
    ipv6: ipv6 === null ? null : rangeOf(ipv6, spec, used),
    mtu: spec.mtu ?? DEFAULT_MTU,
    bridge: spec.bridge ?? (spec.name === DEFAULT_NETWORK ? "dugout0" : `br-${id.slice(0, 12)}`),
    hostLoopback: spec.hostLoopback ? { ipv4: loopbackOf(ipv4), ipv6: loopbackOf(ipv6) } : null,
    labels: spec.labels.map(([name, value]) => [name, value]),
    options: spec.options.map(([name, value]) => [name, value]),
  };
  checkAllUsed(spec, used);
  if (others.some(({ bridge }) => bridge === network.bridge)) {
    throw refuse("NETWORK_INVALID", `a network has the bridge ${network.bridge} already`);
  }
  return network;
}

interface Used {
  readonly gateways: Set<string>;
  readonly ranges: Set<string>;
  readonly reserved: Set<string>;
}

function rangeOf(subnet: Subnet, spec: NetworkSpec, used: Used): AddressRange {
  const isOurs = (text: string): boolean => {
    const address = parseAddress(text.split("/")[0]!);
    return address !== undefined && isIn(subnet, address);
  };
  const gateway = spec.gateways.find(isOurs);
  const range = spec.ranges.find(isOurs);
  const reserved = spec.reserved.filter(([, text]) => isOurs(text));
  if (gateway !== undefined) used.gateways.add(gateway);
  if (range !== undefined) used.ranges.add(range);
  for (const [, text] of reserved) used.reserved.add(text);
  const parsedRange = range === undefined ? undefined : parseSubnet(range);
  if (range !== undefined && parsedRange === undefined) {
    throw refuse("NETWORK_INVALID", `invalid ip-range ${range}: it is no ADDRESS/BITS`);
  }
  const family = subnet.family;
  const result: AddressRange = {
    subnet: formatSubnet(subnet),
    gateway: gateway === undefined
      ? formatAddress({ family, value: hostRange(subnet).first })
      : formatAddress(parseAddress(gateway)!),
    range: parsedRange === undefined ? null : formatSubnet(parsedRange),
    reserved: reserved.map(([name, text]) => [name, formatAddress(parseAddress(text)!)]),
  };
  const fault = findRangeFault(result);
  if (fault !== undefined) throw refuse("NETWORK_INVALID", `Cannot make the network ${quote(spec.name)}: ${fault}`);
  return result;
}

/** The last address of a subnet, which no container gets then. */
function loopbackOf(subnet: Subnet | null): string | null {
  return subnet === null ? null : formatAddress({ family: subnet.family, value: hostRange(subnet).last });
}

function checkAllUsed(spec: NetworkSpec, used: Used): void {
  const rest: [string, string | undefined][] = [
    ["gateway", spec.gateways.find((text) => !used.gateways.has(text))],
    ["ip-range", spec.ranges.find((text) => !used.ranges.has(text))],
    ["aux-address", spec.reserved.find(([, text]) => !used.reserved.has(text))?.[1]],
  ];
  for (const [what, text] of rest) {
    if (text !== undefined) throw refuse("NETWORK_INVALID", `no matching subnet for ${what} ${text}`);
  }
}
