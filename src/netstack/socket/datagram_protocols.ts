/**
 * All of the stack but TCP, put together: neighbours, reassembly, ICMP, UDP, DHCP and the name server share one piece of memory
 * and know one another here alone.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import type { Frame } from "../frame.ts";
import { type IpAddress, sameAddress } from "../ip_address.ts";
import type { Protocol, Surroundings } from "../protocol.ts";
import { ICMP, ICMPV6_NEIGHBOUR_ADVERTISEMENT, ICMPV6_ROUTER_SOLICITATION } from "../wire/icmp.ts";
import type { DatagramSockets } from "./datagram_sockets.ts";
import { DHCP_SCRATCH_BYTES, type DhcpServer, makeDhcpServer } from "./dhcp_server.ts";
import { type Dns, DNS_SCRATCH_BYTES, type DnsOptions, makeDns } from "./dns/dns.ts";
import { type Echo, ECHO_SCRATCH_BYTES, makeEcho } from "./echo.ts";
import type { FlowBounds } from "./flows.ts";
import { ICMP_ERROR_SCRATCH_BYTES, type IcmpErrors, makeIcmpErrors } from "./icmp_errors.ts";
import { HELD_SPACE_BYTES } from "./held_frames.ts";
import { makeNeighbours, NEIGHBOUR_SCRATCH_BYTES, type NeighbourTable } from "./neighbours.ts";
import { makeReassembly, type Reassembly, REASSEMBLY_SPACE_BYTES } from "./reassembly.ts";
import type { StreamSockets } from "./stream_sockets.ts";
import { makeUdp, type Udp, UDP_SCRATCH_BYTES } from "./udp.ts";

/** In this order the pieces lie behind one another. */
const SPACES = {
  neighbours: NEIGHBOUR_SCRATCH_BYTES + HELD_SPACE_BYTES,
  errors: ICMP_ERROR_SCRATCH_BYTES,
  echo: ECHO_SCRATCH_BYTES,
  udp: UDP_SCRATCH_BYTES,
  dhcp: DHCP_SCRATCH_BYTES,
  dns: DNS_SCRATCH_BYTES,
  reassembly: REASSEMBLY_SPACE_BYTES,
} as const;

function roundUp(sizeBytes: number): number {
  return (sizeBytes + 63) & ~63;
}

/** The memory that {@linkcode makeDatagramProtocols} is given. */
export const DATAGRAM_SPACE_BYTES = Object.values(SPACES).reduce((sum, sizeBytes) => sum + roundUp(sizeBytes), 0);

export interface DatagramProtocolOptions {
  /** Offset of DATAGRAM_SPACE_BYTES. */
  readonly base: number;
  /** Which index each has in the stack, by which its sockets are watched. */
  readonly indices: { readonly echo: number; readonly udp: number; readonly dns: number };
  readonly datagrams: DatagramSockets;
  readonly streams: StreamSockets;
  makePair(): readonly [Fd, Fd] | undefined;
  resolvConf: DnsOptions["resolvConf"];
  /** Flows of UDP; of pings there may be a quarter as many. */
  readonly bounds: FlowBounds;
  /** Whether a container may send to there (`--egress`); the port is 0 for pings. */
  permits(link: number, source: IpAddress, destination: IpAddress, port: number): boolean;
  onAnswer?: DnsOptions["onAnswer"];
  /** An address has answered that frames were waiting for. */
  onNeighbour?(link: number, address: IpAddress, nowMs: number): void;
}

export interface DatagramProtocols {
  readonly neighbours: NeighbourTable;
  readonly reassembly: Reassembly;
  readonly errors: IcmpErrors;
  readonly echo: Echo;
  readonly udp: Udp;
  readonly dns: Dns;
  readonly dhcp: DhcpServer;
  /** Takes frames of ICMP and ICMPv6, and gives each to who it is for; events and timers are theirs. */
  readonly icmp: Protocol;
  /** Forgets a link that is gone, or an address on it: flows, neighbours, leases, names. */
  forget(link: number, address?: IpAddress): void;
}

/** @param around Without neighbours, which are made here: use {@linkcode DatagramProtocols.neighbours} for TCP. */
export function makeDatagramProtocols(
  around: Omit<Surroundings, "neighbours">,
  options: DatagramProtocolOptions,
): DatagramProtocols {
  const { indices, datagrams, streams, bounds } = options;
  let next = options.base;
  const take = (sizeBytes: number) => {
    const at = next;
    next += roundUp(sizeBytes);
    return at;
  };
  const neighbours = makeNeighbours(around, take(SPACES.neighbours), options.onNeighbour);
  const surroundings: Surroundings = { ...around, neighbours };
  const errors = makeIcmpErrors(surroundings, take(SPACES.errors));
  const echo = makeEcho(surroundings, {
    index: indices.echo,
    scratch: take(SPACES.echo),
    sockets: datagrams,
    errors,
    bounds: { flows: Math.ceil(bounds.flows / 4), flowsPerContainer: Math.ceil(bounds.flowsPerContainer / 4) },
    permits: (link, source, destination) => options.permits(link, source, destination, 0),
  });
  const dhcp = makeDhcpServer(surroundings, take(SPACES.dhcp));
  const dns: Dns = makeDns(surroundings, {
    index: indices.dns,
    scratch: take(SPACES.dns),
    datagrams,
    streams,
    makePair: () => options.makePair(),
    resolvConf: (nowMs) => options.resolvConf(nowMs),
    send: (...datagram) => udp.send(...datagram),
    ...(options.onAnswer === undefined ? {} : { onAnswer: options.onAnswer }),
  });
  const udp: Udp = makeUdp(surroundings, {
    index: indices.udp,
    scratch: take(SPACES.udp),
    sockets: datagrams,
    errors,
    services: {
      dns: (frame, header, nowMs) => dns.onDatagram(frame, header, nowMs),
      dhcp: (frame, header, nowMs) => dhcp.onDatagram(frame, header, nowMs),
    },
    bounds,
    permits: (link, source, destination, port) => options.permits(link, source, destination, port),
  });
  const reassembly = makeReassembly(around.memory, take(SPACES.reassembly));
  const { bytes } = around.memory;

  return {
    neighbours,
    reassembly,
    errors,
    echo,
    udp,
    dns,
    dhcp,
    icmp: {
      ...echo,
      onFrame(frame: Frame, nowMs: number) {
        const type = bytes[frame.transport + ICMP.type]!;
        const isNeighbours = frame.family === 6 && frame.end > frame.transport &&
          type >= ICMPV6_ROUTER_SOLICITATION && type <= ICMPV6_NEIGHBOUR_ADVERTISEMENT;
        if (isNeighbours) neighbours.onFrame(frame, nowMs);
        else echo.onFrame(frame, nowMs);
      },
    },
    forget(link, address) {
      const isMeant = (flow: { link: number; inside: IpAddress }) =>
        flow.link === link && (address === undefined || sameAddress(flow.inside, address));
      udp.flows.endWhere(isMeant);
      echo.flows.endWhere(isMeant);
      neighbours.forget(link, address);
      if (address !== undefined) return;
      dhcp.forget(link);
      dns.forget(link);
    },
  };
}
