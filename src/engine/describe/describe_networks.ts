/**
 * A container's networks and ports, as docker's `inspect`, `ps` and `port` tell of them.
 *
 * @module
 */
import type { PortRequest, RunRequest } from "#docker/run_request.ts";
import { memberships } from "#network/members.ts";
import type { JoinedNetwork } from "#network/attachment.ts";
import { parseSubnet } from "#network/subnet.ts";
import type { PublishedPort } from "#netstack/control.ts";
import type { Engine } from "../engine.ts";
import { endpointId } from "../network/describe_network.ts";

/** A port of a container, and where this machine listens for it. */
export interface ShownPort {
  /** `80/tcp` */
  readonly port: string;
  readonly hostAddress: string;
  readonly hostPort: number;
}

/** The ports that are published for a container just now. */
export function publishedPorts(engine: Engine, id: string): PublishedPort[] {
  return memberships(engine, id).flatMap(({ endpoint }) => endpoint.ports);
}

/** One for each port of a range. */
export function listPorts(published: readonly PublishedPort[]): ShownPort[] {
  return published.flatMap(({ protocol, hostAddress, hostPort, containerPort, count }) =>
    Array.from({ length: count }, (_, index) => ({
      port: `${containerPort + index}/${protocol}`,
      hostAddress,
      hostPort: hostPort + index,
    }))
  );
}

/** `0.0.0.0:8080`, `[::]:8080`. */
export function formatHostPort({ hostAddress, hostPort }: Pick<ShownPort, "hostAddress" | "hostPort">): string {
  return hostAddress.includes(":") ? `[${hostAddress}]:${hostPort}` : `${hostAddress}:${hostPort}`;
}

/** The column PORTS of `ps`: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`. @param exposed `80/tcp`, published or not. */
export function describePorts(published: readonly PublishedPort[], exposed: readonly string[]): string {
  const taken = new Set(listPorts(published).map(({ port }) => port));
  const range = (first: number, count: number) => count === 1 ? String(first) : `${first}-${first + count - 1}`;
  const shown = published.map(({ protocol, hostAddress, hostPort, containerPort, count }) => {
    const host = hostAddress.includes(":") ? `[${hostAddress}]` : hostAddress;
    return `${host}:${range(hostPort, count)}->${range(containerPort, count)}/${protocol}`;
  });
  return [...shown, ...exposed.filter((port) => !taken.has(port))].join(", ");
}

type Binding = { HostIp: string; HostPort: string };

/** `HostConfig.PortBindings`: what was asked for. */
export function describePortBindings(ports: readonly PortRequest[]): Map<string, Binding[]> {
  const bindings = new Map<string, Binding[]>();
  for (const { hostAddress = "", hostPorts, containerPorts: { first, last, protocol } } of ports) {
    for (let port = first; port <= last; port++) {
      const key = `${port}/${protocol}`;
      const isRow = hostPorts !== undefined && hostPorts.last - hostPorts.first === last - first;
      const hostPort = hostPorts === undefined
        ? ""
        : isRow
        ? String(hostPorts.first + port - first)
        : `${hostPorts.first}-${hostPorts.last}`;
      bindings.set(key, [...bindings.get(key) ?? [], { HostIp: hostAddress, HostPort: hostPort }]);
    }
  }
  return bindings;
}

const NO_ADDRESSES = {
  EndpointID: "",
  Gateway: "",
  GlobalIPv6Address: "",
  GlobalIPv6PrefixLen: 0,
  IPAddress: "",
  IPPrefixLen: 0,
  IPv6Gateway: "",
  MacAddress: "",
};

function describeAddresses({ network, endpoint }: JoinedNetwork): typeof NO_ADDRESSES {
  const bits = (range: JoinedNetwork["network"]["ipv4"]) => range === null ? 0 : parseSubnet(range.subnet)!.bits;
  const leadsOut = !network.internal;
  return {
    EndpointID: endpointId(network, endpoint),
    Gateway: leadsOut && endpoint.ipv4 !== undefined ? network.ipv4?.gateway ?? "" : "",
    GlobalIPv6Address: endpoint.ipv6 ?? "",
    GlobalIPv6PrefixLen: endpoint.ipv6 === undefined ? 0 : bits(network.ipv6),
    IPAddress: endpoint.ipv4 ?? "",
    IPPrefixLen: endpoint.ipv4 === undefined ? 0 : bits(network.ipv4),
    IPv6Gateway: leadsOut && endpoint.ipv6 !== undefined ? network.ipv6?.gateway ?? "" : "",
    MacAddress: endpoint.mac,
  };
}

/** `NetworkSettings`. @param names The networks that it is made for. */
export function describeNetworkSettings(
  engine: Engine,
  id: string,
  { names, request, isRunning, exposed }: {
    readonly names: readonly string[];
    readonly request: RunRequest;
    readonly isRunning: boolean;
    readonly exposed: readonly string[];
  },
): Record<string, unknown> {
  const joined = isRunning ? memberships(engine, id) : [];
  // docker's `host` and `none` know of no ports
  const ports = new Map<string, Binding[] | null>(joined.length > 0 ? exposed.map((port) => [port, null]) : []);
  for (const { port, hostAddress, hostPort } of listPorts(joined.flatMap(({ endpoint }) => endpoint.ports))) {
    ports.set(port, [...ports.get(port) ?? [], { HostIp: hostAddress, HostPort: String(hostPort) }]);
  }
  // docker's own fields of the default network
  const onDefault = joined.find(({ network }) => network.name === "bridge");
  const shown = joined.length > 0 ? joined.map(({ network }) => network.name) : names;
  return {
    Bridge: "",
    SandboxID: "",
    SandboxKey: "",
    Ports: ports,
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    ...(onDefault === undefined ? NO_ADDRESSES : describeAddresses(onDefault)),
    Networks: new Map(
      shown.filter((name) => !name.startsWith("container:")).map((name) => {
        const one = joined.find(({ network }) => network.name === name);
        return [name, describeEndpoint(one, request, name)];
      }),
    ),
  };
}

function describeEndpoint(
  joined: JoinedNetwork | undefined,
  request: RunRequest,
  name: string,
): Record<string, unknown> {
  const asked = request.endpoints.find(({ network }) =>
    network.kind === "bridge" ? network.network === name : network.kind === "default" && name === "bridge"
  );
  const given = asked === undefined || (asked.ipv4 ?? asked.ipv6) === undefined ? null : {
    ...(asked.ipv4 === undefined ? {} : { IPv4Address: asked.ipv4 }),
    ...(asked.ipv6 === undefined ? {} : { IPv6Address: asked.ipv6 }),
  };
  const aliases = joined?.endpoint.aliases ?? asked?.aliases ?? [];
  return {
    IPAMConfig: given,
    Links: null,
    Aliases: aliases.length === 0 ? null : aliases,
    DriverOpts: null,
    GwPriority: asked?.gatewayPriority ?? 0,
    NetworkID: joined?.network.id ?? "",
    ...(joined === undefined ? NO_ADDRESSES : describeAddresses(joined)),
    DNSNames: joined === undefined
      ? null
      : [...new Set([joined.endpoint.name, ...aliases, joined.endpoint.container.slice(0, 12)])],
  };
}
