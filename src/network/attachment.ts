/**
 * What a container's tape does for its networks.
 *
 * @module
 */
import type { IdMap } from "#linux/idmap.ts";
import { CONTAINER_NETWORK, type NetworkAttachment } from "#runtime/attach_steps.ts";
import { type Holder, holderNamespaces } from "./holder.ts";
import { addressSteps, vethSteps } from "./link_steps.ts";
import type { Endpoint, LinkState } from "./link_file.ts";
import type { Network } from "./network_file.ts";
import { settingSteps } from "./setting_steps.ts";
import { Netlink, NETLINK_BUFFERS } from "./netlink_steps.ts";

/** A network that a container is joined to. */
export interface JoinedNetwork {
  readonly network: Network;
  readonly endpoint: Endpoint;
  readonly bridgeIndex: LinkState["bridgeIndex"];
}

/**
 * Plans a container's links. The first network that leads outwards has its default route.
 * @param map What the container's user namespace maps.
 */
export function planAttachment(holder: Holder, map: IdMap, joined: readonly JoinedNetwork[]): NetworkAttachment {
  const [outer, inner] = [new Netlink("shared netlink"), new Netlink("own netlink")];
  const veths = joined.map(({ network, endpoint, bridgeIndex }) =>
    vethSteps(outer, endpoint, { bridgeIndex, mtu: network.mtu }, CONTAINER_NETWORK)
  );
  const way = joined.find(({ network }) => !network.internal);
  return {
    ...holderNamespaces(holder),
    map: holder.map,
    outside: [...outer.open(), ...veths.flatMap(({ steps }) => steps)],
    inside: [
      ...inner.open(),
      ...joined.flatMap(({ network, endpoint }) => addressSteps(inner, endpoint, network, network === way?.network)),
      ...inner.close(),
      ...ownNamespaceSettings(map),
    ],
    buffers: [...NETLINK_BUFFERS, ...veths.flatMap(({ buffers }) => buffers)],
  };
}

/** As docker has it: in a network of its own a container may listen on every port, and ping without rights. */
function ownNamespaceSettings(map: IdMap) {
  const lastGroup = Math.max(...map.gid.map(({ inside, count }) => inside + count - 1));
  const firstGroup = Math.min(...map.gid.map(({ inside }) => inside));
  return [
    ...settingSteps("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ...settingSteps("/proc/sys/net/ipv4/ping_group_range", `${firstGroup} ${lastGroup}`),
  ];
}
