/**
 * Ports of a container that runs: published, and taken back.
 *
 * @module
 */
import type { PublishedPort } from "#netstack/control.ts";
import { DugoutError } from "#oci/error.ts";
import { ensureHolder } from "./bring_up.ts";
import { withNetworkLock } from "./holder.ts";
import { type Endpoint, readLink, writeLink } from "./link_file.ts";
import { memberships, type NetworkContext } from "./members.ts";
import { type PortWish, publishPorts } from "./publish.ts";
import { openStack } from "./stack.ts";
import type { StackConnection } from "./stack_connection.ts";

/** Publishes ports of a container. @throws {DugoutError} PORT_UNREACHABLE, PORT_IN_USE, PORT_FORBIDDEN. */
export function addPorts(context: NetworkContext, container: string, wishes: readonly PortWish[]): Promise<void> {
  return changePorts(context, container, (connection, network, endpoint) => {
    const { ipv4, ipv6, ports } = endpoint;
    return [...ports, ...publishPorts(connection, { container, network, ipv4, ipv6 }, wishes)];
  });
}

/** Takes ports back; what is open at them goes on. @returns Whether there were any. */
export async function removePorts(
  context: NetworkContext,
  container: string,
  isMeant: (port: PublishedPort) => boolean,
): Promise<boolean> {
  let isAny = false;
  await changePorts(context, container, (connection, _, { ports }) => {
    const gone = ports.filter(isMeant);
    isAny = gone.length > 0;
    if (isAny) connection.ask({ do: "unpublish", owner: container, ports: gone });
    return ports.filter((port) => !isMeant(port));
  });
  return isAny;
}

function changePorts(
  context: NetworkContext,
  container: string,
  change: (connection: StackConnection, network: string, endpoint: Endpoint) => readonly PublishedPort[],
): Promise<void> {
  const { runRoot } = context;
  return withNetworkLock(runRoot, () => {
    const way = memberships(context, container).find(({ network }) => !network.internal);
    if (way === undefined) {
      throw new DugoutError("PORT_UNREACHABLE", "the container runs in no network that leads outwards", {
        exitCode: 1,
      });
    }
    using connection = openStack(context, ensureHolder(context))?.connection;
    const link = readLink(runRoot, way.network.id);
    if (connection === undefined || link === undefined) {
      throw new DugoutError("PORT_UNREACHABLE", "the network stack cannot be started", { exitCode: 1 });
    }
    const ports = change(connection, way.network.id, way.endpoint);
    const endpoints = link.endpoints.map((one) => one.container === container ? { ...one, ports } : one);
    writeLink(runRoot, { ...link, endpoints });
  });
}
