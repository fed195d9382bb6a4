/**
 * Networks as docker tells of them: `GET /networks/ID`.
 *
 * @module
 */
import { hashHex } from "#ffi/mod.ts";
import { endpointsOf, type NetworkContext } from "#network/members.ts";
import type { Endpoint } from "#network/link_file.ts";
import { type AddressRange, DEFAULT_NETWORK, type Network } from "#network/network_file.ts";
import { parseSubnet } from "#network/subnet.ts";

/** A network of docker's that is none of ours: the host's, and no network at all. */
export interface BuiltInNetwork {
  readonly id: string;
  readonly name: "host" | "none";
  readonly driver: "host" | "null";
}

/** `host` and `none`. */
export function builtInNetworks(): BuiltInNetwork[] {
  return ([["host", "host"], ["none", "null"]] as const).map(([name, driver]) => ({
    id: hashHex("sha256", `dugout network ${name}`),
    name,
    driver,
  }));
}

/** Whether a network comes with the engine, so that it cannot be removed. */
export function isBuiltIn(name: string): boolean {
  return name === DEFAULT_NETWORK || name === "host" || name === "none";
}

/** The id of a container's place in a network. */
export function endpointId(network: Pick<Network, "id">, { container }: Pick<Endpoint, "container">): string {
  return hashHex("sha256", `${network.id} ${container}`);
}

/** An address with the length of its network's prefix; empty where there is none. */
export function withPrefix(address: string | undefined, range: AddressRange | null): string {
  return address === undefined || range === null ? "" : `${address}/${parseSubnet(range.subnet)!.bits}`;
}

/** A network of ours, with the containers that are in it just now. */
export function describeNetwork(context: NetworkContext, network: Network): Record<string, unknown> {
  const ranges = [network.ipv4, network.ipv6].filter((range) => range !== null);
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: "bridge",
    EnableIPv4: network.ipv4 !== null,
    EnableIPv6: network.ipv6 !== null,
    IPAM: {
      Driver: "default",
      Options: new Map(),
      Config: ranges.map(({ subnet, gateway, range, reserved }) => ({
        Subnet: subnet,
        ...(range === null ? {} : { IPRange: range }),
        Gateway: gateway,
        ...(reserved.length === 0 ? {} : { AuxiliaryAddresses: new Map(reserved) }),
      })),
    },
    Internal: network.internal,
    Attachable: network.attachable,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: new Map(
      endpointsOf(context, network).map((endpoint) => [endpoint.container, {
        Name: endpoint.name,
        EndpointID: endpointId(network, endpoint),
        MacAddress: endpoint.mac,
        IPv4Address: withPrefix(endpoint.ipv4, network.ipv4),
        IPv6Address: withPrefix(endpoint.ipv6, network.ipv6),
      }]),
    ),
    Options: new Map(network.options),
    Labels: new Map(network.labels),
  };
}

/** `host` or `none` in the same shape. */
export function describeBuiltIn({ id, name, driver }: BuiltInNetwork): Record<string, unknown> {
  return {
    Name: name,
    Id: id,
    Created: "0001-01-01T00:00:00Z",
    Scope: "local",
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: null, Config: null },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: new Map(),
    Options: new Map(),
    Labels: new Map(),
  };
}
