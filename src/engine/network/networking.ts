/**
 * The networks of one container, from its request to what its start needs: addresses, links, name servers.
 *
 * @module
 */
import type { IdMap } from "#linux/idmap.ts";
import type { RunRequest } from "#docker/run_request.ts";
import { type JoinedNetwork, planAttachment } from "#network/attachment.ts";
import { joinNetworks, type JoinWish, leaveNetworks, type NetworkContext } from "#network/join.ts";
import { findHostAddress } from "#network/host_address.ts";
import type { NetworkAttachment } from "#runtime/attach_steps.ts";
import type { Engine } from "../engine.ts";
import { wantsNetworks } from "./wants_networks.ts";
import { readState } from "../record/state.ts";

/** Networks that a container has joined. */
export interface Networking {
  readonly attachment: NetworkAttachment;
  readonly networks: readonly JoinedNetwork[];
  /** Its own, of all networks. */
  readonly addresses: readonly string[];
  /** Whom it asks for names: the gateways of its networks. */
  readonly nameServers: readonly string[];
  /** By which it reaches this machine. */
  readonly hostAddress: string;
}

/** What the network room needs of the engine. */
export function networkContext(engine: Engine): NetworkContext {
  const { dataRoot, runRoot, identity } = engine;
  return { dataRoot, runRoot, identity, isRunning: (id) => readState(engine, id) !== undefined };
}

/** What a request says of its networks. */
function wishesOf({ network, endpoints }: RunRequest): JoinWish[] {
  if (network.kind !== "bridge") return [];
  if (endpoints.length === 0) {
    return [{ network: network.network, aliases: [], ipv4: undefined, ipv6: undefined, mac: undefined }];
  }
  return endpoints.flatMap((endpoint) =>
    endpoint.network.kind === "bridge"
      ? [{
        network: endpoint.network.network,
        aliases: endpoint.aliases,
        ipv4: endpoint.ipv4,
        ipv6: endpoint.ipv6,
        mac: endpoint.macAddress,
      }]
      : []
  );
}

/** Joins a container to its networks, before it is planned; undefined where it has none. */
export async function openNetworking(
  engine: Engine,
  request: RunRequest,
  container: { readonly id: string; readonly name: string },
  map: IdMap,
): Promise<Networking | undefined> {
  if (!wantsNetworks(request)) return undefined;
  const { holder, networks } = await joinNetworks(
    networkContext(engine),
    { ...container, firstLink: 0 },
    wishesOf(request),
  );
  return {
    attachment: planAttachment(holder, map, networks),
    networks,
    addresses: networks.flatMap(({ endpoint: { ipv4, ipv6 } }) => [ipv4 ?? [], ipv6 ?? []].flat()),
    nameServers: networks.flatMap(({ network: { ipv4, ipv6 } }) => (ipv4 ?? ipv6)?.gateway ?? []),
    hostAddress: findHostAddress() ?? "127.0.0.1",
  };
}

/** Takes a container out of its networks: it has ended, or was not started. */
export async function closeNetworking(engine: Engine, id: string): Promise<void> {
  await leaveNetworks(engine, id);
}
