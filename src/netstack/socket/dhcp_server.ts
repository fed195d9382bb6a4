/**
 * DHCP on links whose containers are told their addresses (RFC 2131): a private stack's container, or a program inside that
 * asks. The same station gets the same address; there are no more leases than a network has use for.
 *
 * @module
 */
import type { Frame } from "../frame.ts";
import { type IpAddress, V4_MARK } from "../ip_address.ts";
import type { LinkAddress } from "../link_addresses.ts";
import type { Link, Surroundings } from "../protocol.ts";
import {
  DHCP_ACK,
  DHCP_CLIENT_PORT,
  DHCP_DECLINE,
  DHCP_DISCOVER,
  DHCP_INFORM,
  DHCP_NAK,
  DHCP_OFFER,
  DHCP_RELEASE,
  DHCP_REQUEST,
  DHCP_SERVER_PORT,
  makeDhcpRequest,
  readDhcp,
  writeDhcpReply,
} from "../wire/dhcp.ts";
import { ETHERNET, ETHERTYPE_IPV4, writeEthernet } from "../wire/ethernet.ts";
import { PROTOCOL_UDP, sumPseudoHeader } from "../wire/ip.ts";
import { IPV4, writeIpv4 } from "../wire/ipv4.ts";
import { UDP, type UdpHeader, writeUdp } from "../wire/udp.ts";
import { VNET, writePlainVnet } from "../wire/vnet.ts";

const LEASE_SECONDS = 3600;
/** Leases a link; the first addresses of its network. */
const MAX_LEASES = 256;
const HEADERS = VNET.SIZE + ETHERNET.SIZE + IPV4.SIZE + UDP.SIZE;

/** What {@linkcode makeDhcpServer} is given to write into. */
export const DHCP_SCRATCH_BYTES = HEADERS + 512;

const BROADCAST_MAC = new Uint8Array(6).fill(255);
const BROADCAST: IpAddress = { a: 0, b: 0, c: V4_MARK, d: -1 };

/** An address that was given: a word, unsigned. */
interface Lease {
  readonly address: number;
  endsMs: number;
}

export interface DhcpServer {
  /** A datagram to port 67. */
  onDatagram(frame: Frame, udp: UdpHeader, nowMs: number): void;
  /** Forgets the leases of a link that is gone. */
  forget(link: number): void;
}

/** @param scratch Offset of DHCP_SCRATCH_BYTES. */
export function makeDhcpServer({ memory, links }: Pick<Surroundings, "memory" | "links">, scratch: number): DhcpServer {
  const { view } = memory;
  const request = makeDhcpRequest();
  /** By link, then by the station's address as text. */
  const leases = new Map<number, Map<string, Lease>>();

  function leasesOf(link: number): Map<string, Lease> {
    let onLink = leases.get(link);
    if (onLink === undefined) leases.set(link, onLink = new Map());
    return onLink;
  }

  /** The address of a station: the one it has, the one it asks for where that is free, or the first free one. */
  function choose(own: LinkAddress, onLink: Map<string, Lease>, station: string, nowMs: number): Lease | undefined {
    const known = onLink.get(station);
    if (known !== undefined) return known;
    const taken = new Set<number>();
    for (const [other, lease] of onLink) {
      if (lease.endsMs <= nowMs) onLink.delete(other);
      else taken.add(lease.address);
    }
    if (onLink.size >= MAX_LEASES) return undefined;
    const free = (address: number) => isGivable(own, address) && !taken.has(address);
    const first = firstAddress(own);
    let address = free(request.requestedIp) ? request.requestedIp : first;
    while (!free(address) && address < first + 2 * MAX_LEASES) address++;
    if (!free(address)) return undefined;
    const lease = { address, endsMs: nowMs };
    onLink.set(station, lease);
    return lease;
  }

  function reply(link: Link, own: LinkAddress, type: number, address: number): void {
    const server = own.address.d >>> 0;
    const at = scratch + HEADERS;
    const end = writeDhcpReply(memory, at, type, request, type === DHCP_NAK ? 0 : address, {
      serverIp: server,
      subnetMask: maskOf(own),
      router: link.reach.isInternal ? 0 : server,
      dns: server,
      mtu: link.mtu,
      leaseSeconds: LEASE_SECONDS,
    });
    // who has no address yet hears what is sent to its station, or to all (RFC 2131 §4.1)
    const isToAll = request.wantsBroadcast || type === DHCP_NAK || address === 0;
    const destination = isToAll ? BROADCAST : { a: 0, b: 0, c: V4_MARK, d: address | 0 };
    writePlainVnet(view, scratch);
    const mac = isToAll ? BROADCAST_MAC : request.mac;
    writeEthernet(memory, scratch + VNET.SIZE, mac, link.macAddress, ETHERTYPE_IPV4);
    const ip = scratch + VNET.SIZE + ETHERNET.SIZE;
    const udp = ip + IPV4.SIZE;
    writeIpv4(view, ip, end - ip, PROTOCOL_UDP, own.address, destination);
    const pseudo = sumPseudoHeader(own.address, destination, PROTOCOL_UDP, end - udp);
    writeUdp(view, udp, DHCP_SERVER_PORT, DHCP_CLIENT_PORT, end - udp, pseudo, false);
    link.device.transmit(scratch, end - scratch, 0, 0, 0, 0);
  }

  return {
    onDatagram(frame, udp, nowMs) {
      const link = links[frame.link];
      const own = link?.addresses.ipv4;
      if (link === undefined || own === undefined || !link.givesAddresses) return;
      if (readDhcp(memory, udp.payload, udp.end, request) !== undefined) return;
      // another server was chosen
      if (request.serverId !== 0 && request.serverId !== own.address.d >>> 0) return;
      const station = request.mac.join(":");
      const onLink = leasesOf(frame.link);
      switch (request.type) {
        case DHCP_DISCOVER: {
          const lease = choose(own, onLink, station, nowMs);
          if (lease === undefined) return;
          // an offer is kept for as long as its answer may take
          lease.endsMs = Math.max(lease.endsMs, nowMs + 60_000);
          reply(link, own, DHCP_OFFER, lease.address);
          return;
        }
        case DHCP_REQUEST: {
          const wanted = request.requestedIp || request.clientIp;
          request.requestedIp = wanted;
          const lease = choose(own, onLink, station, nowMs);
          if (lease === undefined || lease.address !== wanted) {
            reply(link, own, DHCP_NAK, 0);
            return;
          }
          lease.endsMs = nowMs + LEASE_SECONDS * 1000;
          reply(link, own, DHCP_ACK, lease.address);
          return;
        }
        case DHCP_INFORM:
          if (isInSubnet(own, request.clientIp)) reply(link, own, DHCP_ACK, request.clientIp);
          return;
        case DHCP_RELEASE:
          onLink.delete(station);
          return;
        case DHCP_DECLINE: {
          // somebody has it: it is nobody's for a while
          const lease = onLink.get(station);
          onLink.delete(station);
          if (lease === undefined || onLink.size >= MAX_LEASES) return;
          onLink.set(`declined ${lease.address}`, { address: lease.address, endsMs: nowMs + LEASE_SECONDS * 1000 });
          return;
        }
      }
    },
    forget: (link) => void leases.delete(link),
  };
}

function maskOf({ subnet }: LinkAddress): number {
  const bits = subnet.length - 96;
  return bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
}

function firstAddress(own: LinkAddress): number {
  return ((own.subnet.base.d & maskOf(own)) >>> 0) + 1;
}

function isInSubnet(own: LinkAddress, address: number): boolean {
  return ((address ^ own.subnet.base.d) & maskOf(own)) === 0;
}

/** Whether an address of the network may be a container's: not the network's first and last, and none that the stack has. */
function isGivable(own: LinkAddress, address: number): boolean {
  if (!isInSubnet(own, address)) return false;
  const hostPart = (address & ~maskOf(own)) >>> 0;
  const isEdge = hostPart === 0 || hostPart === (~maskOf(own) >>> 0);
  return !isEdge && address !== own.address.d >>> 0 && address !== (own.hostLoopback?.d ?? 0) >>> 0;
}
