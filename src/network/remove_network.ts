import { DugoutError } from "#oci/error.ts";
import { removeBridgeOf } from "./bring_up.ts";
import { findHolder, withNetworkLock } from "./holder.ts";
import { forgetLink, readLink } from "./link_file.ts";
import { endpointsOf, type NetworkContext } from "./members.ts";
import { DEFAULT_NETWORK, forgetNetwork, type Network } from "./network_file.ts";
import { connectStack } from "./stack_connection.ts";

/**
 * Removes a network.
 * @throws {DugoutError} NETWORK_IN_USE, NETWORK_PREDEFINED.
 */
export function removeNetwork(context: NetworkContext, { id, name }: Network): Promise<void> {
  const { dataRoot, runRoot } = context;
  if (name === DEFAULT_NETWORK) {
    const why = `${name} is a pre-defined network and cannot be removed`;
    throw new DugoutError("NETWORK_PREDEFINED", why, { exitCode: 1 });
  }
  return withNetworkLock(runRoot, () => {
    const there = endpointsOf(context, { id }).map((endpoint) => endpoint.name);
    if (there.length > 0) {
      throw new DugoutError(
        "NETWORK_IN_USE",
        `error while removing network: network ${name} id ${id} has active endpoints: ${there.join(", ")}`,
        { exitCode: 1 },
      );
    }
    const [holder, link] = [findHolder(runRoot), readLink(runRoot, id)];
    if (link !== undefined) {
      using connection = connectStack(runRoot);
      connection?.ask({ do: "remove-link", link: id });
      if (holder !== undefined) removeBridgeOf(holder, link);
    }
    forgetLink(runRoot, id);
    forgetNetwork(dataRoot, name);
  });
}
