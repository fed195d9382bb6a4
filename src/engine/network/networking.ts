/**
 * The networks of one container, from its request to what its start needs: addresses, links, ports, name servers.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import type { IdMap } from "#linux/idmap.ts";
import { parseExposedPort } from "#docker/ports.ts";
import { newEndpoint } from "#docker/network.ts";
import type { LinkRequest, PortRange, PortRequest, RunRequest } from "#docker/run_request.ts";
import { type JoinedNetwork, planAttachment } from "#network/attachment.ts";
import { findHostAddress } from "#network/host_address.ts";
import {
  type Joined,
  type Joiner,
  joinNetworks,
  type JoinWish,
  leaveNetworks,
  NO_TAPS,
  NO_TAPS_HINT,
  peekNetworks,
} from "#network/join.ts";
import { endpointsOf, type NetworkContext } from "#network/members.ts";
import { DEFAULT_NETWORK } from "#network/network_file.ts";
import type { PortWish } from "#network/publish.ts";
import type { EgressRule } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import type { RunConfig } from "#oci/image_config.ts";
import { quote } from "#oci/text.ts";
import { connectStack } from "#network/stack_connection.ts";
import { watchContainer } from "#network/stack.ts";
import type { NetworkAttachment } from "#runtime/attach_steps.ts";
import type { Engine } from "../engine.ts";
import type { HostEntry } from "../prepare/etc_files.ts";
import { findContainer } from "../record/containers.ts";
import { readState } from "../record/state.ts";
import { requireOutsideJob } from "../require_outside_job.ts";
import { wantsNetworks } from "./wants_networks.ts";

/** Networks that a container has joined. */
export interface Networking {
  readonly attachment: NetworkAttachment;
  readonly networks: readonly JoinedNetwork[];
  /** Its own, of all networks. */
  readonly addresses: readonly string[];
  /** Whom it asks for names: the gateways of its networks. */
  readonly nameServers: readonly string[];
  /** Lines of /etc/hosts for the containers that it is linked to. */
  readonly links: readonly HostEntry[];
  /** By which it reaches this machine. */
  readonly hostAddress: string;
}

/** What the network room needs of the engine. */
export function networkContext(engine: Engine): NetworkContext {
  const { dataRoot, runRoot, identity } = engine;
  return {
    dataRoot,
    runRoot,
    identity,
    isRunning: (id) => readState(engine, id) !== undefined,
    processesOf: (id) => readState(engine, id),
  };
}

/** What a request says of its networks. */
function wishesOf({ network, endpoints }: RunRequest): JoinWish[] {
  const asked = endpoints.length > 0 ? endpoints : [newEndpoint(network)];
  // the default route goes by the network of the highest priority
  const sorted = asked.toSorted((one, other) => other.gatewayPriority - one.gatewayPriority);
  return sorted.flatMap(({ network: mode, aliases, ipv4, ipv6, macAddress: mac }) => {
    if (mode.kind === "bridge") return [{ network: mode.network, aliases, ipv4, ipv6, mac }];
    return mode.kind === "default" ? [{ network: DEFAULT_NETWORK, aliases, ipv4, ipv6, mac }] : [];
  });
}

/** One `-p`, as the network room takes it. */
export function portWishOf(
  { hostAddress, hostPorts, containerPorts: { first, last, protocol } }: PortRequest,
): PortWish {
  return { hostAddress, hostPorts, containerPorts: { first, last }, protocol };
}

/** Ports that are published: those of `-p`; with `-P` all that the image or the request exposes, at free ones. */
function portsOf({ ports, publishAll, exposedPorts }: RunRequest, image: RunConfig): PortWish[] {
  const named = ports.map(portWishOf);
  if (!publishAll) return named;
  const isNamed = (port: number, protocol: string) =>
    named.some((wish) =>
      wish.protocol === protocol && port >= wish.containerPorts.first && port <= wish.containerPorts.last
    );
  const free = new Map<string, PortWish>();
  for (const { first, last, protocol } of [...imagePorts(image), ...exposedPorts]) {
    for (let port = first; port <= last; port++) {
      if (isNamed(port, protocol)) continue;
      const containerPorts = { first: port, last: port };
      free.set(`${port}/${protocol}`, { hostAddress: undefined, hostPorts: undefined, containerPorts, protocol });
    }
  }
  return [...named, ...free.values()];
}

/** What an image says it listens at; what is no port, or of another protocol, cannot be published. */
function imagePorts({ ExposedPorts = [] }: RunConfig): PortRange[] {
  return ExposedPorts.flatMap((text) => {
    try {
      return [parseExposedPort(text)];
    } catch {
      return [];
    }
  });
}

/** Where it may connect to, in the stack's words. */
export function egressOf({ egress }: RunRequest): EgressRule[] {
  return egress.map(({ action, to, port }) => ({ action, to: to ?? null, port: port ?? null }));
}

/** Who joins, and what it is planned with. */
interface Joining {
  readonly id: string;
  readonly name: string;
  readonly map: IdMap;
  readonly root: { readonly config: RunConfig };
}

/** Joins a container to its networks, before it is planned; undefined where it has none. */
export async function openNetworking(
  engine: Engine,
  request: RunRequest,
  joining: Joining,
): Promise<Networking | undefined> {
  if (!wantsNetworks(request)) return undefined;
  requireOutsideJob("start the network's processes", "--network host, which is the default in a job, or none");
  const joined = await joinNetworks(networkContext(engine), joinerOf(request, joining), wishesOf(request));
  const leadsOut = joined.networks.some(({ network }) => !network.internal);
  if (!joined.hasStack && leadsOut) engine.warn(`${NO_TAPS}: ${NO_TAPS_HINT}`);
  return describeNetworking(engine, request, joining, joined);
}

/** The same, with nothing made. */
export function lookAtNetworking(engine: Engine, request: RunRequest, joining: Joining): Networking | undefined {
  if (!wantsNetworks(request)) return undefined;
  const joined = peekNetworks(networkContext(engine), joinerOf(request, joining), wishesOf(request));
  return describeNetworking(engine, request, joining, joined);
}

function joinerOf(request: RunRequest, { id, name, root }: Joining): Joiner {
  return { id, name, firstLink: 0, ports: portsOf(request, root.config), egress: egressOf(request) };
}

function describeNetworking(
  engine: Engine,
  request: RunRequest,
  { map }: Joining,
  { holder, networks }: Joined,
): Networking {
  return {
    attachment: planAttachment(holder, map, networks),
    networks,
    addresses: networks.flatMap(({ endpoint: { ipv4, ipv6 } }) => [ipv4 ?? [], ipv6 ?? []].flat()),
    nameServers: networks.flatMap(({ network: { ipv4, ipv6 } }) => (ipv4 ?? ipv6)?.gateway ?? []),
    hostAddress: findHostAddress() ?? "127.0.0.1",
    links: request.links.map((link) => findLink(engine, networks, link)),
  };
}

/** A container that another one is linked to: it runs, and is in one of the other's networks. */
function findLink(engine: Engine, networks: readonly JoinedNetwork[], { container, alias }: LinkRequest): HostEntry {
  const { id, record } = findContainer(engine, container);
  const name = record?.name ?? container;
  const context = networkContext(engine);
  const found = networks.flatMap(({ network }) => endpointsOf(context, network)).find((one) => one.container === id);
  const address = found?.ipv4 ?? found?.ipv6;
  if (address === undefined) {
    throw new DugoutError(
      "LINK_IMPOSSIBLE",
      `Cannot link to ${quote(container)} as ${quote(alias)}: it is in none of the container's networks`,
      { hint: "name a network that both are in with --network" },
    );
  }
  return { name: [...new Set([alias, id.slice(0, 12), name])].join(" "), address };
}

/**
 * Has what a container has of networks taken back when it ends: it runs, and is on record.
 * @param pidfd Of its first process; undefined where that has ended.
 */
export async function watchNetworking(engine: Engine, id: string, pidfd: Fd | undefined): Promise<void> {
  if (pidfd === undefined) return await closeNetworking(engine, id);
  try {
    using connection = connectStack(engine.runRoot);
    if (connection !== undefined) watchContainer(connection, engine.runRoot, id, pidfd);
  } catch (error) {
    // the stack was killed just now: who starts it again tells it of all containers
    if (!(error instanceof DugoutError)) throw error;
  }
}

/** Takes a container out of its networks: it has ended, or was not started. */
export async function closeNetworking(engine: Engine, id: string): Promise<void> {
  await leaveNetworks(networkContext(engine), id);
}
