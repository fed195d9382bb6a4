/**
 * The stack as networks use it: started where it is not there, told of networks, names and ports. By whoever has the network's
 * lock. All it knows is on record, so that another one takes over where it was killed.
 *
 * @module
 */
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { findHostAddress } from "./host_address.ts";
import type { Holder } from "./holder.ts";
import { type Endpoint, type LinkState, listLinks } from "./link_file.ts";
import { isThere, memberships, type NetworkContext } from "./members.ts";
import type { Network } from "./network_file.ts";
import { connectStack, type StackConnection } from "./stack_connection.ts";
import { canOpenTaps, linkConfig, openTap, startStack } from "./start_stack.ts";

/** Names by which containers find this machine. */
const HOST_NAMES = ["host.docker.internal", "host.containers.internal"];

/** A stack to talk to, and whether it was started just now: then it knows all that is on record. */
export interface OpenedStack {
  readonly connection: StackConnection;
  readonly isNew: boolean;
}

/** The stack, which is started where there is none; undefined where taps cannot be opened. */
export function openStack(context: NetworkContext, holder: Holder): OpenedStack | undefined {
  const { runRoot } = context;
  const found = connectStack(runRoot);
  if (found !== undefined) return { connection: found, isNew: false };
  if (!canOpenTaps()) return undefined;
  const links = listLinks(runRoot);
  startStack(runRoot, holder, links);
  const connection = connectStack(runRoot);
  if (connection === undefined) return undefined;
  for (const link of links) tellAll(context, connection, link);
  for (const id of new Set(links.flatMap(({ endpoints }) => endpoints.map(({ container }) => container)))) {
    const running = context.processesOf(id);
    if (running !== undefined) watchProcess(connection, runRoot, id, running.pid);
  }
  return { connection, isNew: true };
}

function tellAll(context: NetworkContext, connection: StackConnection, link: LinkState): void {
  tellNames(context, connection, link);
  for (const endpoint of link.endpoints.filter((one) => isThere(context, one))) {
    const { container, ports } = endpoint;
    tellEgress(connection, link.network.id, endpoint);
    if (ports.length === 0) continue;
    try {
      connection.ask({ do: "publish", owner: container, link: link.network.id, ports: [...ports] });
    } catch {
      // somebody else has taken the port meanwhile; 'dugout port' shows what was asked for
    }
  }
}

/** Tells the stack where a container may connect to; what it asks for and does is kept for `network log`. */
export function tellEgress(connection: StackConnection, link: string, endpoint: Endpoint): void {
  connection.ask({ do: "egress", link, addresses: addressesOf(endpoint), rules: [...endpoint.egress], log: true });
}

function addressesOf({ ipv4, ipv6 }: Endpoint): string[] {
  return [ipv4, ipv6].filter((address) => address !== undefined);
}

/** Has the stack take back what it was told of a container when its first process ends. */
function watchProcess(connection: StackConnection, runRoot: string, container: string, pid: number): void {
  const pidfd = tryCall("pidfd_open", pid, 0);
  // it has ended: whoever looks next forgets it
  if (pidfd < 0) return;
  watchContainer(connection, runRoot, container, pidfd as Fd);
  close(pidfd as Fd);
}

/** The same by a descriptor of the process, which stays the caller's. */
export function watchContainer(connection: StackConnection, runRoot: string, container: string, pidfd: Fd): void {
  const addresses = memberships({ runRoot }, container).flatMap(({ endpoint }) => addressesOf(endpoint));
  connection.ask({ do: "watch", owner: container, addresses }, pidfd);
}

/** Tells the stack of a network that it does not know yet. */
export function addLink(connection: StackConnection, holder: Holder, link: LinkState): void {
  const tap: Fd = openTap(holder, link);
  try {
    connection.ask({ do: "add-link", link: linkConfig(link) }, tap);
  } finally {
    close(tap);
  }
}

/** Tells the stack who is in a network. */
export function tellNames(context: NetworkContext, connection: StackConnection, link: LinkState): void {
  const endpoints = link.endpoints.filter((endpoint) => isThere(context, endpoint));
  const names = namesOf(endpoints, hostAddresses(link.network));
  connection.ask({ do: "names", link: link.network.id, names, stations: stationsOf(endpoints) });
}

/** By which station each address of a network speaks: nobody speaks for another. */
function stationsOf(endpoints: readonly Endpoint[]): { address: string; macAddress: string }[] {
  return endpoints.flatMap(({ ipv4, ipv6, mac }) =>
    [ipv4, ipv6].filter((address) => address !== undefined).map((address) => ({ address, macAddress: mac }))
  );
}

/** By which this machine is reached: its loopback, where the network opens that; else its own address. */
function hostAddresses({ internal, hostLoopback }: Network): string[] {
  if (hostLoopback !== null) return [hostLoopback.ipv4, hostLoopback.ipv6].filter((address) => address !== null);
  return internal ? [] : [findHostAddress() ?? []].flat();
}

/** The names of a network: of each container its own, the short form of its id, and its aliases; several may share an alias. */
export function namesOf(
  endpoints: readonly Endpoint[],
  hostAddresses: readonly string[],
): { name: string; addresses: string[] }[] {
  const table = new Map<string, Set<string>>();
  const add = (name: string, addresses: readonly string[]) => {
    const key = name.toLowerCase();
    const set = table.get(key) ?? new Set();
    for (const address of addresses) set.add(address);
    table.set(key, set);
  };
  for (const endpoint of endpoints) {
    const addresses = [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== undefined);
    for (const name of [endpoint.name, endpoint.container.slice(0, 12), ...endpoint.aliases]) add(name, addresses);
  }
  if (hostAddresses.length > 0) { for (const name of HOST_NAMES) add(name, hostAddresses); }
  return Array.from(table, ([name, addresses]) => ({ name, addresses: [...addresses] }));
}
