/**
 * Joining a container to networks: addresses are given, what is not there yet of a network is made, and ports are published.
 * Leaving them.
 *
 * @module
 */
import { readStartTime } from "#linux/proc.ts";
import { randomHex } from "#linux/random.ts";
import type { EgressRule, PublishedPort } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { JoinedNetwork } from "./attachment.ts";
import { endIfIdle, ensureHolder, makeBridgeOf, stopStack } from "./bring_up.ts";
import { findHolder, type Holder, sharedMap, withNetworkLock } from "./holder.ts";
import { type Endpoint, type LinkState, listLinks, readLink, writeLink } from "./link_file.ts";
import { ensureDefaultNetwork, peekDefaultNetwork, type Places } from "./make_network.ts";
import { isThere, type NetworkContext } from "./members.ts";
import { DEFAULT_NETWORK, findNetwork, type Network } from "./network_file.ts";
import { type PortWish, publishPorts } from "./publish.ts";
import { type EndpointWish, reserveAddresses } from "./reserve.ts";
import { addLink, openStack, tellEgress, tellNames } from "./stack.ts";
import { connectStack, type StackConnection } from "./stack_connection.ts";

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
  /** The first number of its links: 0 is `eth0`. */
  readonly firstLink: number;
  /** What is to be published. */
  readonly ports: readonly PortWish[];
  /** Where it may connect to; empty: everywhere. */
  readonly egress: readonly EgressRule[];
}

/** Networks that were joined. */
export interface Joined {
  readonly holder: Holder;
  /** Whether there is a way outwards, and somebody who answers for names. */
  readonly hasStack: boolean;
  readonly networks: readonly JoinedNetwork[];
}

/** Why networks have no way outwards. */
export const NO_TAPS =
  "/dev/net/tun cannot be opened, so that networks of containers have no way outwards, and nobody answers for names";
/** What to do about it. */
export const NO_TAPS_HINT =
  "ask the administrator for 'chmod 666 /dev/net/tun', as distributions have it (module tun); --network host needs none";

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

/** A container's place in a network, and the network with it. */
interface Place {
  readonly endpoint: Endpoint;
  readonly link: LinkState;
}

/**
 * Gives a container its places in networks, and publishes its ports. Where one of them cannot be had, it has none of them.
 * @throws {DugoutError} NETWORK_UNKNOWN, and what {@linkcode reserveAddresses} and {@linkcode publishPorts} throw.
 */
export async function joinNetworks(
  context: NetworkContext,
  joiner: Joiner,
  wishes: readonly JoinWish[],
): Promise<Joined> {
  for (let attempt = 1;; attempt++) {
    try {
      return await tryToJoin(context, joiner, wishes);
    } catch (error) {
      if (!(error instanceof DugoutError) || attempt === MOST_ATTEMPTS) throw error;
      // an older program's: one that understands us takes its place, and goes on with what is on record
      if (error.code === "STACK_INVALID") stopStack(context.runRoot);
      // it has ended just then: it is started again
      else if (error.code !== "STACK_LOST") throw error;
    }
  }
}

/** A stack that has just been told to stop may still take a connection. */
const MOST_ATTEMPTS = 3;

function tryToJoin(context: NetworkContext, joiner: Joiner, wishes: readonly JoinWish[]): Promise<Joined> {
  const { runRoot } = context;
  return withNetworkLock(runRoot, () => {
    const networks = wishes.map(({ network }) => requireNetwork(context, network));
    const twice = networks.find(({ id }, index) => networks.findIndex((other) => other.id === id) !== index);
    if (twice !== undefined) {
      throw new DugoutError("NETWORK_TWICE", `Cannot join the network ${quote(twice.name)} twice`);
    }
    const holder = ensureHolder(context);
    const places = networks.map((network, index) => planPlace(context, joiner, network, wishes[index]!, index));
    const fresh = places.filter(({ link }) => readLink(runRoot, link.network.id) === undefined).map(({ link }) => link);
    for (const link of fresh) makeBridgeOf(holder, link);
    for (const { link } of places) writeLink(runRoot, link);
    try {
      const opened = openStack(context, holder);
      if (opened === undefined) {
        if (joiner.ports.length > 0) {
          throw new DugoutError("PORT_UNREACHABLE", `Cannot publish a port: ${NO_TAPS}`, { hint: NO_TAPS_HINT });
        }
        return describeJoined(holder, false, places);
      }
      using connection = opened.connection;
      if (!opened.isNew) { for (const link of fresh) addLink(connection, holder, link); }
      for (const { link, endpoint } of places) {
        tellEgress(connection, link.network.id, endpoint);
        tellNames(context, connection, link);
      }
      return describeJoined(holder, true, publishAt(runRoot, connection, joiner, places));
    } catch (error) {
      forgetEndpoints(runRoot, joiner.id, undefined);
      throw error;
    }
  });
}

/** What {@linkcode joinNetworks} would give, with nothing made. @throws {DugoutError} NETWORK_UNKNOWN and others. */
export function peekNetworks(context: NetworkContext, joiner: Joiner, wishes: readonly JoinWish[]): Joined {
  const networks = wishes.map(({ network }) =>
    network === DEFAULT_NETWORK ? peekDefaultNetwork(context) : requireNetwork(context, network)
  );
  const places = networks.map((network, index) => planPlace(context, joiner, network, wishes[index]!, index));
  const nobody: Holder = { pid: 0, startTime: "", bootId: "", map: sharedMap(context.identity) };
  return describeJoined(findHolder(context.runRoot) ?? nobody, true, places);
}

function describeJoined(holder: Holder, hasStack: boolean, places: readonly Place[]): Joined {
  const networks = places.map(({ endpoint, link: { network, bridgeIndex } }) => ({ network, endpoint, bridgeIndex }));
  return { holder, hasStack, networks };
}

/** Publishes what is to be: by the first network that leads outwards. */
function publishAt(
  runRoot: string,
  connection: StackConnection,
  { id, ports }: Joiner,
  places: readonly Place[],
): readonly Place[] {
  const way = places.find(({ link }) => !link.network.internal);
  if (ports.length === 0) return places;
  if (way === undefined) {
    throw new DugoutError("PORT_UNREACHABLE", "Cannot publish a port: all networks of the container are internal");
  }
  const { endpoint, link } = way;
  const { ipv4, ipv6 } = endpoint;
  const published = publishPorts(connection, { container: id, network: link.network.id, ipv4, ipv6 }, ports);
  const changed = { ...endpoint, ports: published };
  const endpoints = link.endpoints.map((other) => other === endpoint ? changed : other);
  const result = { endpoint: changed, link: { ...link, endpoints } };
  writeLink(runRoot, result.link);
  return places.map((one) => one === way ? result : one);
}

function planPlace(
  context: NetworkContext,
  joiner: Joiner,
  network: Network,
  wish: JoinWish,
  position: number,
): Place {
  const before = readLink(context.runRoot, network.id) ?? newLink(context.runRoot, network, position);
  // one that is started again gives up what it had
  const others = before.endpoints.filter((one) => one.container !== joiner.id && isThere(context, one));
  const own = before.endpoints.find(({ container }) => container === joiner.id);
  const reserved = reserveAddresses(network, others, before.last, again(own, others, wish));
  const number = joiner.firstLink + position;
  const endpoint: Endpoint = {
    container: joiner.id,
    name: joiner.name,
    aliases: wish.aliases,
    ...reserved,
    ports: [],
    egress: joiner.egress,
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
  return { endpoint, link: { ...before, endpoints: [...others, endpoint], last } };
}

/** A network that is not up yet. */
function newLink(runRoot: string, network: Network, position: number): LinkState {
  const links = listLinks(runRoot);
  // another store at the same runtime directory may have a network with a bridge of that name
  const isTaken = links.some(({ bridge }) => bridge === network.bridge);
  return {
    network,
    bridge: isTaken ? `br-${network.id.slice(0, 12)}` : network.bridge,
    bridgeIndex: Math.max(FIRST_BRIDGE_INDEX - 1, ...links.map(({ bridgeIndex }) => bridgeIndex)) + 1 + position,
    endpoints: [],
    last: {},
  };
}

/** What a container had before it has again, where nobody else does. */
function again(own: Endpoint | undefined, others: readonly Endpoint[], wish: JoinWish): EndpointWish {
  const before = (family: "ipv4" | "ipv6") =>
    wish[family] ?? (others.some((other) => other[family] === own?.[family]) ? undefined : own?.[family]);
  return { ipv4: before("ipv4"), ipv6: before("ipv6"), mac: wish.mac };
}

/** Takes a container out of its networks; of those, or of all. What is published for it is given back. */
export function leaveNetworks(context: NetworkContext, container: string, only?: readonly string[]): Promise<void> {
  const { runRoot } = context;
  return withNetworkLock(runRoot, () => {
    const left = forgetEndpoints(runRoot, container, only);
    using connection = connectStack(runRoot);
    // the stack ends what it stands on when it has been idle for a while
    if (connection === undefined) return void endIfIdle(context);
    if (left.some(({ ports }) => ports.length > 0)) connection.ask({ do: "unpublish", owner: container, ports: null });
    for (const { link } of left) tellNames(context, connection, link);
  });
}

/** What was left: networks as they are without the container, and what was published there. */
function forgetEndpoints(
  runRoot: string,
  container: string,
  only: readonly string[] | undefined,
): { link: LinkState; ports: readonly PublishedPort[] }[] {
  return listLinks(runRoot).flatMap((before) => {
    if (only !== undefined && !only.includes(before.network.id)) return [];
    const endpoints = before.endpoints.filter((endpoint) => endpoint.container !== container);
    if (endpoints.length === before.endpoints.length) return [];
    const link = { ...before, endpoints };
    writeLink(runRoot, link);
    const ports = before.endpoints.flatMap((one) => one.container === container ? one.ports : []);
    return [{ link, ports }];
  });
}

/** Gives a container another name in its networks. */
export function renameInNetworks(context: NetworkContext, container: string, name: string): Promise<void> {
  const { runRoot } = context;
  return withNetworkLock(runRoot, () => {
    using connection = connectStack(runRoot);
    for (const before of listLinks(runRoot)) {
      if (!before.endpoints.some((one) => one.container === container)) continue;
      const endpoints = before.endpoints.map((one) => one.container === container ? { ...one, name } : one);
      const link = { ...before, endpoints };
      writeLink(runRoot, link);
      if (connection !== undefined) tellNames(context, connection, link);
    }
  });
}
