/**
 * Joining a container to networks: addresses are given, and what is not there yet of a network is made. Leaving them.
 *
 * @module
 */
import { randomHex } from "#linux/random.ts";
import { readStartTime } from "#linux/proc.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { Identity } from "#runtime/identity.ts";
import { playTape } from "#tape/play.ts";
import type { Tape } from "#tape/step.ts";
import type { JoinedNetwork } from "./attachment.ts";
import { findHolder, fitsIdentity, type Holder, startHolder, withNetworkLock } from "./holder.ts";
import { bridgeSteps, joinSharedSteps, removeLinkSteps } from "./link_steps.ts";
import { type Endpoint, forgetLink, forgetLinks, type LinkState, listLinks, readLink, writeLink } from "./link_file.ts";
import { ensureDefaultNetwork, type Places } from "./make_network.ts";
import { type PortWish, publishPorts } from "./publish.ts";
import { addLink, openStack, tellNames } from "./stack.ts";
import { connectStack, type StackConnection } from "./stack_connection.ts";
import type { PublishedPort } from "#netstack/control.ts";
import { DEFAULT_NETWORK, findNetwork, forgetNetwork, listNetworks, type Network } from "./network_file.ts";
import { Netlink, NETLINK_BUFFERS } from "./netlink_steps.ts";
import { type EndpointWish, reserveAddresses } from "./reserve.ts";

/** What joining depends on. */
export interface NetworkContext extends Places {
  readonly identity: Identity;
  /** Whether a container runs, by what is on record. */
  readonly isRunning: (container: string) => boolean;
}

/** One network that a container is to be in. */
export interface JoinWish extends EndpointWish {
  /** Its name, or its id. */
  readonly network: string;
  readonly aliases: readonly string[];
}

/** Who joins. */
export interface Joiner {
  readonly id: string;
  readonly name: string;
  /** The first index of its links: `eth0` is the first. */
  readonly firstLink: number;
  /** What is to be published. */
  readonly ports: readonly PortWish[];
}

/** Networks that were joined. */
export interface Joined {
  readonly holder: Holder;
  /** Whether there is a way outwards, and somebody who answers for names. */
  readonly hasStack: boolean;
  readonly networks: readonly JoinedNetwork[];
}

/** Why networks have no way outwards. */
export const NO_TAPS = "networks of containers have no way outwards in this version yet, and nobody answers for names";
const NO_TAPS_HINT = "--network host shares this machine's network";

/** Indices of bridges; those that the kernel chooses begin at 1. */
const FIRST_BRIDGE_INDEX = 1_000_000;
/** Indices of ports of bridges. */
const FIRST_PORT_INDEX = 0x1000000;
/** The index of `eth0`; 1 is the loopback, and modules may make a few links in every network namespace. */
const FIRST_LINK_INDEX = 100;

/** Which network a name means. @throws {DugoutError} NETWORK_UNKNOWN. */
export function requireNetwork(places: Places, text: string): Network {
  const network = text === DEFAULT_NETWORK ? ensureDefaultNetwork(places) : findNetwork(places.dataRoot, text);
  if (network === undefined) {
    throw new DugoutError("NETWORK_UNKNOWN", `network ${text} not found`, {
      hint: `make it with 'dugout network create ${text}'`,
    });
  }
  return network;
}

/** Whether an endpoint's container is there: it runs, or somebody is starting it. */
function isThere({ isRunning }: NetworkContext, { container, starter }: Endpoint): boolean {
  return isRunning(container) || readStartTime(starter.pid) === starter.startTime;
}

/**
 * Gives a container its places in networks, and publishes its ports. Where one of them cannot be had, it has none of them.
 * @throws {DugoutError} NETWORK_UNKNOWN, and what {@linkcode reserveAddresses} and {@linkcode publishPorts} throw.
 */
export function joinNetworks(context: NetworkContext, joiner: Joiner, wishes: readonly JoinWish[]): Promise<Joined> {
  return withNetworkLock(context.runRoot, () => {
    const networks = wishes.map(({ network }) => requireNetwork(context, network));
    const twice = networks.find(({ id }, index) => networks.findIndex((other) => other.id === id) !== index);
    if (twice !== undefined) {
      throw new DugoutError("NETWORK_TWICE", `Cannot join the network ${quote(twice.name)} twice`);
    }
    const holder = ensureHolder(context);
    const planned = networks.map((network, index) => planEndpoint(context, joiner, network, wishes[index]!, index));
    const fresh = planned.filter(({ network }) => readLink(context.runRoot, network.id) === undefined);
    for (const { link, network } of fresh) makeBridgeOf(holder, network, link.bridgeIndex);
    for (const { link } of planned) writeLink(context.runRoot, link);
    const there = (endpoint: Endpoint) => isThere(context, endpoint);
    try {
      const opened = openStack(context, holder, there);
      if (opened === undefined) return settle(holder, planned, undefined, joiner);
      using connection = opened.connection;
      if (!opened.isNew) { for (const up of fresh) addLink(connection, holder, up); }
      for (const up of planned) tellNames(connection, up, there);
      return settle(holder, publishAt(context, connection, joiner, planned), connection, joiner);
    } catch (error) {
      forgetEndpoints(context, joiner.id, undefined);
      throw error;
    }
  });
}

/** Publishes what is to be: by the first network that leads outwards. */
function publishAt(
  context: NetworkContext,
  connection: StackConnection,
  { id, ports }: Joiner,
  planned: readonly PlannedEndpoint[],
): readonly PlannedEndpoint[] {
  const way = planned.find(({ network }) => !network.internal);
  if (ports.length === 0 || way === undefined) return planned;
  const { network, endpoint, link } = way;
  const { ipv4, ipv6 } = endpoint;
  const published = publishPorts(connection, { container: id, network: network.id, ipv4, ipv6 }, ports);
  const changed = { ...endpoint, ports: published };
  const others = link.endpoints.filter((other) => other !== endpoint);
  const result = { network, endpoint: changed, link: { ...link, endpoints: [...others, changed] } };
  writeLink(context.runRoot, result.link);
  return planned.map((one) => one === way ? result : one);
}

function settle(
  holder: Holder,
  planned: readonly PlannedEndpoint[],
  connection: StackConnection | undefined,
  { ports }: Joiner,
): Joined {
  if (connection === undefined && ports.length > 0) {
    throw new DugoutError("PORT_UNREACHABLE", `Cannot publish a port: ${NO_TAPS}`, { hint: NO_TAPS_HINT });
  }
  return {
    holder,
    hasStack: connection !== undefined,
    networks: planned.map(({ network, endpoint, link }) => ({ network, endpoint, bridgeIndex: link.bridgeIndex })),
  };
}

/** The holder, which is started where there is none. */
function ensureHolder(context: NetworkContext): Holder {
  const found = findHolder(context.runRoot);
  if (found !== undefined && fitsIdentity(found, context.identity)) return found;
  forgetLinks(context.runRoot);
  return startHolder(context.runRoot, context.identity);
}

interface PlannedEndpoint {
  readonly network: Network;
  readonly endpoint: Endpoint;
  readonly link: LinkState;
}

function planEndpoint(
  context: NetworkContext,
  joiner: Joiner,
  network: Network,
  wish: JoinWish,
  position: number,
): PlannedEndpoint {
  const before = readLink(context.runRoot, network.id) ??
    {
      network: network.id,
      name: network.name,
      bridgeIndex: freeIndex(context.runRoot, position),
      endpoints: [],
      last: {},
    };
  // one that is started again gives up what it had
  const others = before.endpoints.filter((endpoint) => endpoint.container !== joiner.id && isThere(context, endpoint));
  const own = before.endpoints.find((endpoint) => endpoint.container === joiner.id);
  const reserved = reserveAddresses(network, others, before.last, again(own, others, wish));
  const number = joiner.firstLink + position;
  const endpoint: Endpoint = {
    container: joiner.id,
    name: joiner.name,
    aliases: wish.aliases,
    ...reserved,
    ports: [],
    link: `eth${number}`,
    index: FIRST_LINK_INDEX + number,
    port: `v${randomHex(6)}`,
    // by chance, as its name: that of a container that has just ended may still be there
    portIndex: FIRST_PORT_INDEX + Number.parseInt(randomHex(3), 16),
    starter: { pid: process.pid, startTime: readStartTime(process.pid) ?? "" },
  };
  const last = {
    ...before.last,
    ...(wish.ipv4 === undefined && reserved.ipv4 !== undefined ? { ipv4: reserved.ipv4 } : {}),
    ...(wish.ipv6 === undefined && reserved.ipv6 !== undefined ? { ipv6: reserved.ipv6 } : {}),
  };
  return { network, endpoint, link: { ...before, endpoints: [...others, endpoint], last } };
}

/** What a container had before it has again, where nobody else does. */
function again(own: Endpoint | undefined, others: readonly Endpoint[], wish: JoinWish): EndpointWish {
  const before = (family: "ipv4" | "ipv6") =>
    wish[family] ?? (others.some((other) => other[family] === own?.[family]) ? undefined : own?.[family]);
  return { ipv4: before("ipv4"), ipv6: before("ipv6"), mac: wish.mac };
}

function freeIndex(runRoot: string, position: number): number {
  return Math.max(FIRST_BRIDGE_INDEX - 1, ...listLinks(runRoot).map(({ bridgeIndex }) => bridgeIndex)) + 1 + position;
}

function sharedTape(holder: Holder, act: (netlink: Netlink) => Tape["steps"]): Tape {
  const netlink = new Netlink("shared netlink");
  return {
    steps: [...joinSharedSteps(holder), ...netlink.open(), ...act(netlink)],
    buffers: new Map(NETLINK_BUFFERS),
    errorFd: 4,
  };
}

function makeBridgeOf(holder: Holder, network: Network, index: number): void {
  playTape(sharedTape(holder, (netlink) => [
    // of a start that was killed half-way
    ...removeLinkSteps(netlink, network.bridge),
    ...bridgeSteps(netlink, network, index),
  ]));
}

/** Takes a container out of its networks; of those, or of all. What is published for it is given back. */
export function leaveNetworks(context: NetworkContext, container: string, only?: readonly string[]): Promise<void> {
  return withNetworkLock(context.runRoot, () => {
    const left = forgetEndpoints(context, container, only);
    using connection = left.length === 0 ? undefined : connectStack(context.runRoot);
    if (connection === undefined) return;
    if (left.some(({ ports }) => ports.length > 0)) connection.ask({ do: "unpublish", owner: container, ports: null });
    for (const { network: id } of left) {
      const [network, link] = [
        listNetworks(context.dataRoot).networks.find((one) => one.id === id),
        readLink(context.runRoot, id),
      ];
      if (network !== undefined && link !== undefined) {
        tellNames(connection, { network, link }, (endpoint) => isThere(context, endpoint));
      }
    }
  });
}

/** What was left: the networks, and what was published there. */
function forgetEndpoints(
  context: NetworkContext,
  container: string,
  only: readonly string[] | undefined,
): { network: string; ports: readonly PublishedPort[] }[] {
  const left: { network: string; ports: readonly PublishedPort[] }[] = [];
  for (const link of listLinks(context.runRoot)) {
    if (only !== undefined && !only.includes(link.network)) continue;
    const endpoints = link.endpoints.filter((endpoint) => endpoint.container !== container);
    if (endpoints.length === link.endpoints.length) continue;
    writeLink(context.runRoot, { ...link, endpoints });
    const ports = link.endpoints.flatMap((endpoint) => endpoint.container === container ? endpoint.ports : []);
    left.push({ network: link.network, ports });
  }
  return left;
}

/** Who is in a network just now. */
export function endpointsOf(context: NetworkContext, network: Pick<Network, "id">): readonly Endpoint[] {
  if (findHolder(context.runRoot) === undefined) return [];
  return readLink(context.runRoot, network.id)?.endpoints.filter((endpoint) => isThere(context, endpoint)) ?? [];
}

/** The networks that a container is in, by its links: `eth0` first. */
export function memberships({ dataRoot, runRoot }: Places, container: string): JoinedNetwork[] {
  const links = listLinks(runRoot).filter(({ endpoints }) => endpoints.some((one) => one.container === container));
  const networks = links.length === 0 ? [] : listNetworks(dataRoot).networks;
  return links.flatMap(({ network: id, endpoints, bridgeIndex }) => {
    const network = networks.find((one) => one.id === id);
    const endpoint = endpoints.find((one) => one.container === container);
    return network === undefined || endpoint === undefined ? [] : [{ network, endpoint, bridgeIndex }];
  }).sort((one, other) => one.endpoint.index - other.endpoint.index);
}

/**
 * Removes a network.
 * @throws {DugoutError} NETWORK_IN_USE, NETWORK_PREDEFINED.
 */
export function removeNetwork(context: NetworkContext, network: Network): Promise<void> {
  if (network.name === DEFAULT_NETWORK) {
    throw new DugoutError("NETWORK_PREDEFINED", `${network.name} is a pre-defined network and cannot be removed`, {
      exitCode: 1,
    });
  }
  return withNetworkLock(context.runRoot, () => {
    const there = endpointsOf(context, network);
    if (there.length > 0) {
      throw new DugoutError(
        "NETWORK_IN_USE",
        `error while removing network: network ${network.name} id ${network.id} has active endpoints: ${
          there.map(({ name }) => name).join(", ")
        }`,
        { exitCode: 1 },
      );
    }
    const holder = findHolder(context.runRoot);
    using connection = connectStack(context.runRoot);
    connection?.ask({ do: "remove-link", link: network.id });
    if (holder !== undefined && readLink(context.runRoot, network.id) !== undefined) {
      playTape(sharedTape(holder, (netlink) => removeLinkSteps(netlink, network.bridge)));
    }
    forgetLink(context.runRoot, network.id);
    forgetNetwork(context.dataRoot, network.name);
  });
}
