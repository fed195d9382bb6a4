/**
 * The stack as networks use it: started where it is not there, told of networks, names and ports. By whoever has the network's
 * lock. All it knows is on record, so that another one takes over where it was killed.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { findHostAddress } from "./host_address.ts";
import type { Holder } from "./holder.ts";
import { type Endpoint, type LinkState, listLinks } from "./link_file.ts";
import type { Network } from "./network_file.ts";
import { connectStack, type StackConnection } from "./stack_connection.ts";
import { canOpenTaps, linkConfig, openTap, startStack } from "./start_stack.ts";

/** Whether a container of an endpoint is there. */
export type IsThere = (endpoint: Endpoint) => boolean;

/** Names by which containers find this machine. */
const HOST_NAMES = ["host.docker.internal", "host.containers.internal"];

/** A stack to talk to, and whether it was started just now: then it knows all that is on record. */
export interface OpenedStack {
  readonly connection: StackConnection;
  readonly isNew: boolean;
}

/** The stack, which is started where there is none; undefined where taps cannot be opened. */
export function openStack(runRoot: string, holder: Holder, isThere: IsThere): OpenedStack | undefined {
  const found = connectStack(runRoot);
  if (found !== undefined) return { connection: found, isNew: false };
  if (!canOpenTaps()) return undefined;
  const links = listLinks(runRoot);
  startStack(runRoot, holder, links);
  const connection = connectStack(runRoot);
  if (connection === undefined) return undefined;
  for (const link of links) tellAll(connection, link, isThere);
  return { connection, isNew: true };
}

function tellAll(connection: StackConnection, link: LinkState, isThere: IsThere): void {
  tellNames(connection, link, isThere);
  for (const { container, ports } of link.endpoints.filter(isThere)) {
    if (ports.length === 0) continue;
    try {
      connection.ask({ do: "publish", owner: container, link: link.network.id, ports: [...ports] });
    } catch {
      // somebody else has taken the port meanwhile; 'dugout port' shows what was asked for
    }
  }
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
export function tellNames(connection: StackConnection, link: LinkState, isThere: IsThere): void {
  const names = namesOf(link, isThere, hostAddresses(link.network));
  connection.ask({ do: "names", link: link.network.id, names, stations: stationsOf(link, isThere) });
}

/** By which station each address of a network speaks: nobody speaks for another. */
function stationsOf({ endpoints }: LinkState, isThere: IsThere): { address: string; macAddress: string }[] {
  return endpoints.filter(isThere).flatMap(({ ipv4, ipv6, mac }) =>
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
  link: Pick<LinkState, "endpoints">,
  isThere: IsThere,
  hostAddresses: readonly string[],
): { name: string; addresses: string[] }[] {
  const table = new Map<string, Set<string>>();
  const add = (name: string, addresses: readonly string[]) => {
    const key = name.toLowerCase();
    const set = table.get(key) ?? new Set();
    for (const address of addresses) set.add(address);
    table.set(key, set);
  };
  for (const endpoint of link.endpoints.filter(isThere)) {
    const addresses = [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== undefined);
    for (const name of [endpoint.name, endpoint.container.slice(0, 12), ...endpoint.aliases]) add(name, addresses);
  }
  if (hostAddresses.length > 0) { for (const name of HOST_NAMES) add(name, hostAddresses); }
  return Array.from(table, ([name, addresses]) => ({ name, addresses: [...addresses] }));
}
