/**
 * Who is in networks just now.
 *
 * @module
 */
import { readStartTime } from "#linux/proc.ts";
import type { Identity } from "#runtime/identity.ts";
import type { JoinedNetwork } from "./attachment.ts";
import { findHolder } from "./holder.ts";
import { type Endpoint, listLinks, readLink } from "./link_file.ts";
import type { Places } from "./make_network.ts";
import type { Network } from "./network_file.ts";

/** What networks depend on. */
export interface NetworkContext extends Places {
  readonly identity: Identity;
  /** Whether a container runs, by what is on record. */
  readonly isRunning: (container: string) => boolean;
  /** A container's first process, and the one that waits for its end; undefined where it does not run. */
  readonly processesOf: (container: string) => { readonly pid: number; readonly monitor: number } | undefined;
}

/** Whether an endpoint's container is there: it runs, or somebody is starting it. */
export function isThere({ isRunning }: Pick<NetworkContext, "isRunning">, { container, starter }: Endpoint): boolean {
  return isRunning(container) || readStartTime(starter.pid) === starter.startTime;
}

/** Who is in a network. */
export function endpointsOf(context: NetworkContext, network: Pick<Network, "id">): readonly Endpoint[] {
  if (findHolder(context.runRoot) === undefined) return [];
  return readLink(context.runRoot, network.id)?.endpoints.filter((endpoint) => isThere(context, endpoint)) ?? [];
}

/** The networks that a container is in, by its links: `eth0` first. */
export function memberships({ runRoot }: Pick<Places, "runRoot">, container: string): JoinedNetwork[] {
  return listLinks(runRoot).flatMap(({ network, endpoints, bridgeIndex }) => {
    const endpoint = endpoints.find((one) => one.container === container);
    return endpoint === undefined ? [] : [{ network, endpoint, bridgeIndex }];
  }).sort((one, other) => one.endpoint.index - other.endpoint.index);
}
