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
import { DEFAULT_NETWORK, findNetwork, forgetNetwork, type Network } from "./network_file.ts";
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
}

/** Networks that were joined. */
export interface Joined {
  readonly holder: Holder;
  readonly networks: readonly JoinedNetwork[];
}

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
 * Gives a container its places in networks. Where one of them cannot be had, it has none of them.
 * @throws {DugoutError} NETWORK_UNKNOWN, and what {@linkcode reserveAddresses} throws.
 */
export function joinNetworks(context: NetworkContext, joiner: Joiner, wishes: readonly JoinWish[]): Promise<Joined> {
  return withNetworkLock(context.runRoot, () => {
    const networks = wishes.map(({ network }) => requireNetwork(context, network));
    const twice = networks.find(({ id }, index) => networks.findIndex((other) => other.id === id) !== index);
    if (twice !== undefined) {
      throw new DugoutError("NETWORK_TWICE", `Cannot join the network ${quote(twice.name)} twice`);
    }
    const holder = ensureHolder(context);
    // all that may fail comes before anything is written
    const planned = networks.map((network, index) => planEndpoint(context, joiner, network, wishes[index]!, index));
    for (const { link, network } of planned) {
      if (readLink(context.runRoot, network.id) === undefined) makeBridgeOf(holder, network, link.bridgeIndex);
    }
    for (const { link } of planned) writeLink(context.runRoot, link);
    return {
      holder,
      networks: planned.map(({ network, endpoint, link }) => ({ network, endpoint, bridgeIndex: link.bridgeIndex })),
    };
  });
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
  const reserved = reserveAddresses(network, others, before.last, wish);
  const number = joiner.firstLink + position;
  const endpoint: Endpoint = {
    container: joiner.id,
    name: joiner.name,
    aliases: wish.aliases,
    ...reserved,
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

/** Takes a container out of its networks; of those, or of all. */
export function leaveNetworks(
  context: Pick<Places, "runRoot">,
  container: string,
  only?: readonly string[],
): Promise<void> {
  return withNetworkLock(context.runRoot, () => {
    for (const link of listLinks(context.runRoot)) {
      if (only !== undefined && !only.includes(link.network)) continue;
      const endpoints = link.endpoints.filter((endpoint) => endpoint.container !== container);
      if (endpoints.length < link.endpoints.length) writeLink(context.runRoot, { ...link, endpoints });
    }
  });
}

/** Who is in a network just now. */
export function endpointsOf(context: NetworkContext, network: Pick<Network, "id">): readonly Endpoint[] {
  if (findHolder(context.runRoot) === undefined) return [];
  return readLink(context.runRoot, network.id)?.endpoints.filter((endpoint) => isThere(context, endpoint)) ?? [];
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
    if (holder !== undefined && readLink(context.runRoot, network.id) !== undefined) {
      playTape(sharedTape(holder, (netlink) => removeLinkSteps(netlink, network.bridge)));
    }
    forgetLink(context.runRoot, network.id);
    forgetNetwork(context.dataRoot, network.name);
  });
}
