/**
 * From a datagram's payload that lies in memory to frames on a link: virtio, Ethernet and IP headers are put in front, and what
 * is longer than the link's MTU goes in fragments.
 *
 * @module
 */
import type { Family, IpAddress } from "../ip_address.ts";
import type { Link, Surroundings } from "../protocol.ts";
import { ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.ts";
import { DEFAULT_TTL, IPV4, writeIpv4, writeIpv4Fragment } from "../wire/ipv4.ts";
import { IPV6, IPV6_FRAGMENT, PROTOCOL_FRAGMENT, writeIpv6, writeIpv6Fragment } from "../wire/ipv6.ts";
import { VNET, writeOffloadVnet, writePlainVnet } from "../wire/vnet.ts";

/** What must be free before the transport's header. */
export const HEADROOM = VNET.SIZE + ETHERNET.SIZE + IPV6.SIZE + IPV6_FRAGMENT.SIZE;

/** What {@linkcode sendDatagram} sends; records are made once, and filled for each. */
export interface Datagram {
  link: number;
  family: Family;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  protocol: number;
  hopLimit: number;
  trafficClass: number;
  /** Where the transport's header begins; HEADROOM bytes before it are written to. */
  transport: number;
  end: number;
  /** Offset of the transport's checksum in its header, if the device is to finish it; −1 when it is whole already. */
  checksumOffset: number;
}

export function makeDatagram(source: IpAddress, destination: IpAddress): Datagram {
  return {
    link: 0,
    family: 4,
    source,
    destination,
    protocol: 0,
    hopLimit: DEFAULT_TTL,
    trafficClass: 0,
    transport: 0,
    end: 0,
    checksumOffset: -1,
  };
}

/** Whether so long a transport header and payload goes in one piece; if not, its checksum must be whole. */
export function fitsLink(link: Link, family: Family, length: number): boolean {
  return length + (family === 4 ? IPV4.SIZE : IPV6.SIZE) <= link.mtu;
}

/**
 * Sends a datagram to a container.
 * @returns Whether it went out, or waits for its destination to answer; false when the link is gone or full, or it is too
 * long to wait.
 */
export function sendDatagram(surroundings: Surroundings, datagram: Datagram, nowMs: number): boolean {
  const link = surroundings.links[datagram.link];
  if (link === undefined) return false;
  const length = datagram.end - datagram.transport;
  if (!fitsLink(link, datagram.family, length)) return sendFragments(surroundings, link, datagram, nowMs);
  const { view } = surroundings.memory;
  const headerBytes = datagram.family === 4 ? IPV4.SIZE : IPV6.SIZE;
  const ip = datagram.transport - headerBytes;
  const vnet = ip - ETHERNET.SIZE - VNET.SIZE;
  const isKnown = writeEthernetTo(surroundings, link, datagram, ip - ETHERNET.SIZE, nowMs);
  const { protocol, source, destination, hopLimit, trafficClass } = datagram;
  if (datagram.family === 4) {
    writeIpv4(view, ip, headerBytes + length, protocol, source, destination, hopLimit, trafficClass);
  } else {
    writeIpv6(view, ip, length, protocol, source, destination, hopLimit, trafficClass);
  }
  if (datagram.checksumOffset < 0) writePlainVnet(view, vnet);
  else writeOffloadVnet(view, vnet, 0, 0, 0, ETHERNET.SIZE + headerBytes, datagram.checksumOffset);
  if (!isKnown) return surroundings.neighbours.hold(datagram.link, destination, vnet, datagram.end - vnet);
  return link.device.transmit(vnet, datagram.end - vnet, 0, 0, 0, 0) >= 0;
}

/** @returns Whether the destination is known; its place is left open if not. */
function writeEthernetTo(
  { memory: { bytes, view }, neighbours }: Surroundings,
  link: Link,
  { link: index, family, destination }: Datagram,
  at: number,
  nowMs: number,
): boolean {
  const isKnown = neighbours.writeMac(index, family, destination, at + ETHERNET.destination, nowMs);
  for (let i = 0; i < 6; i++) bytes[at + ETHERNET.source + i] = link.macAddress[i]!;
  view.setUint16(at + ETHERNET.type, family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  return isKnown;
}

/** The headers of all fragments are written at one place, and each piece of payload is sent from where it lies. */
function sendFragments(surroundings: Surroundings, link: Link, datagram: Datagram, nowMs: number): boolean {
  const { view } = surroundings.memory;
  const { family, protocol, source, destination, hopLimit, transport, end } = datagram;
  const headerBytes = family === 4 ? IPV4.SIZE : IPV6.SIZE + IPV6_FRAGMENT.SIZE;
  const pieceBytes = (link.mtu - headerBytes) & ~7;
  const id = surroundings.random();
  const headers = transport - HEADROOM;
  if (!writeEthernetTo(surroundings, link, datagram, headers + VNET.SIZE, nowMs)) return false;
  writePlainVnet(view, headers);
  const ip = headers + VNET.SIZE + ETHERNET.SIZE;
  let isSent = true;
  for (let at = transport; at < end; at += pieceBytes) {
    const length = Math.min(pieceBytes, end - at);
    const isLast = at + length === end;
    if (family === 4) {
      writeIpv4(view, ip, headerBytes + length, protocol, source, destination, hopLimit, datagram.trafficClass);
      writeIpv4Fragment(view, ip, id & 0xffff, at - transport, !isLast);
    } else {
      writeIpv6(
        view,
        ip,
        IPV6_FRAGMENT.SIZE + length,
        PROTOCOL_FRAGMENT,
        source,
        destination,
        hopLimit,
        datagram.trafficClass,
      );
      writeIpv6Fragment(view, ip + IPV6.SIZE, protocol, id, at - transport, !isLast);
    }
    const headersLength = VNET.SIZE + ETHERNET.SIZE + headerBytes;
    isSent = link.device.transmit(headers, headersLength, at, length, 0, 0) >= 0 && isSent;
  }
  return isSent;
}
