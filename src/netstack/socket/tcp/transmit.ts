/**
 * Segments on their way inside: headers are made in the scratch, payload goes from the ring as it lies. Checksums are left to the
 * kernel, which gets the pseudo-header's sum, and so is cutting into segments (TSO).
 *
 * @module
 */
import type { Memory } from "../../memory.ts";
import { ETHERNET, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../../wire/ethernet.ts";
import { PROTOCOL_TCP, sumPseudoHeader } from "../../wire/ip.ts";
import { IPV4, writeIpv4 } from "../../wire/ipv4.ts";
import { IPV6, writeIpv6 } from "../../wire/ipv6.ts";
import { finishTcp, TCP, TCP_ACK, TCP_RST, TCP_SYN, writeTcp, writeTcpOptions } from "../../wire/tcp.ts";
import { VNET, VNET_GSO_NONE, VNET_GSO_TCPV4, VNET_GSO_TCPV6, writeOffloadVnet } from "../../wire/vnet.ts";
import type { Connection } from "./connection.ts";
import { offsetAt, pieceAt } from "./ring.ts";
import { distance, isBefore } from "./sequence.ts";
import { ringLimit, type Tcp } from "./tcp_state.ts";

/** Our windows are told in units of 128 bytes: 8 MiB can be said, and 1 MiB is. */
export const OUR_WINDOW_SCALE = 7;
/** The longest IP datagram. */
const MAX_DATAGRAM = 65_535;

/**
 * How far the window may open now (RFC 9293 §3.8.6.2.2): only by as much as is worth a segment, and never back.
 */
function openWindow(tcp: Tcp, connection: Connection): void {
  if (connection.hasInsideEnded) return;
  const edge = possibleEdge(tcp, connection);
  if (isWorthTelling(tcp, connection, edge)) connection.receiveEdge = edge;
}

function possibleEdge(tcp: Tcp, connection: Connection): number {
  return (connection.receiveNext + Math.max(ringLimit(tcp) - connection.toHost.used, 0)) | 0;
}

function isWorthTelling(tcp: Tcp, { receiveEdge, mss }: Connection, edge: number): boolean {
  return distance(edge, receiveEdge) >= Math.min(mss, ringLimit(tcp) >> 1);
}

/** Whether inside should hear of a window that has opened, of itself. After its FIN it has no use for one. */
export function hasWindowToTell(tcp: Tcp, connection: Connection): boolean {
  if (connection.hasInsideEnded) return false;
  // only where it may be waiting: half of what it knew of is used up
  const left = distance(connection.receiveEdge, connection.receiveNext);
  if (left * 2 > ringLimit(tcp)) return false;
  return isWorthTelling(tcp, connection, possibleEdge(tcp, connection));
}

/** What selective acknowledgements take of a segment, when some must be told: MSS counts no options (RFC 6691). */
function rangeBytes({ canSack, ahead }: Connection): number {
  return canSack && ahead !== undefined && ahead.count > 0 ? 36 : 0;
}

/** The payload of one segment as it would go now. */
export function segmentSize(connection: Connection): number {
  return connection.mss - rangeBytes(connection);
}

/** The most payload of one frame: whole segments, as many as a datagram holds. */
export function maxPayload(connection: Connection): number {
  const size = segmentSize(connection);
  const room = MAX_DATAGRAM - (connection.isIpv4 ? IPV4.SIZE : IPV6.SIZE) - TCP.SIZE - rangeBytes(connection);
  return size > room ? room : room - (room % size);
}

/** Sends an acknowledgement without data. */
export function sendAck(tcp: Tcp, connection: Connection): void {
  sendSegment(tcp, connection, connection.next, TCP_ACK, 0, 0);
}

/** Sends SYN, or SYN-ACK when one has come. */
export function sendSyn(tcp: Tcp, connection: Connection, isAnswer: boolean): void {
  const { options } = tcp;
  const link = tcp.around.links[connection.link];
  if (link === undefined) return;
  const header = (connection.isIpv4 ? IPV4.SIZE : IPV6.SIZE) + TCP.SIZE;
  options.mss = link.mtu - header;
  // an answer offers what was offered (RFC 7323 §2.2, RFC 2018 §2)
  options.windowScale = !isAnswer || connection.receiveScale > 0 ? OUR_WINDOW_SCALE : -1;
  options.sackPermitted = !isAnswer || connection.canSack;
  sendSegment(tcp, connection, connection.initialSend, isAnswer ? TCP_SYN | TCP_ACK : TCP_SYN, 0, 0);
  options.mss = 0;
  options.windowScale = -1;
  options.sackPermitted = false;
}

/** Sends RST that inside accepts: where it expects the next byte (RFC 9293 §3.10.7.4). */
export function sendReset(tcp: Tcp, connection: Connection): void {
  sendSegment(tcp, connection, connection.next, TCP_RST | TCP_ACK, 0, 0);
}

/**
 * Sends one frame.
 * @param from Where its payload begins, in bytes behind the ring's head.
 */
export function sendSegment(
  tcp: Tcp,
  connection: Connection,
  sequence: number,
  flags: number,
  from: number,
  length: number,
): void {
  const link = tcp.around.links[connection.link];
  if (link === undefined) return;
  const { memory } = tcp.around;
  const { view } = memory;
  const { options, headers } = tcp;
  const isSyn = (flags & TCP_SYN) !== 0;

  const ethernet = headers + VNET.SIZE;
  const ip = ethernet + ETHERNET.SIZE;
  const segment = ip + (connection.isIpv4 ? IPV4.SIZE : IPV6.SIZE);
  let window: number;
  if (isSyn) window = 0xffff;
  else {
    openWindow(tcp, connection);
    window = Math.min(
      Math.max(distance(connection.receiveEdge, connection.receiveNext), 0) >>> connection.receiveScale,
      0xffff,
    );
    tellRanges(tcp, connection);
  }
  const optionBytes = isSyn || options.sackCount > 0 ? writeTcpOptions(view, segment + TCP.SIZE, options) : 0;
  options.sackCount = 0;
  const payload = segment + TCP.SIZE + optionBytes;
  writeTcp(
    view,
    segment,
    connection.outsidePort,
    connection.insidePort,
    sequence,
    (flags & TCP_ACK) !== 0 ? connection.receiveNext : 0,
    flags,
    window,
    optionBytes,
  );
  const { outside, inside } = connection;
  if (connection.isIpv4) writeIpv4(view, ip, IPV4.SIZE + payload - segment + length, PROTOCOL_TCP, outside, inside);
  else writeIpv6(view, ip, payload - segment + length, PROTOCOL_TCP, outside, inside);
  writeMacs(memory, connection, ethernet, link.macAddress);
  const sum = sumPseudoHeader(outside, inside, PROTOCOL_TCP, payload - segment + length);
  finishTcp(view, segment, payload, sum, true);
  const size = connection.mss - optionBytes;
  const isCut = length > size;
  const gso = connection.isIpv4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
  writeOffloadVnet(
    view,
    headers,
    isCut ? gso : VNET_GSO_NONE,
    payload - ethernet,
    isCut ? size : 0,
    segment - ethernet,
    TCP.checksum,
  );
  const ring = connection.toInside;
  const first = length === 0 ? 0 : pieceAt(ring, from, length);
  link.device.transmit(
    headers,
    payload - headers,
    length === 0 ? 0 : offsetAt(ring, from),
    first,
    ring.block,
    length - first,
  );
  tcp.counters.segmentsOut++;
  tcp.counters.bytesOut += length;
  if ((flags & TCP_ACK) !== 0) {
    connection.isAckDue = false;
    connection.unackedBytes = 0;
    connection.ackAtMs = Infinity;
  }
}

/** Selective acknowledgements: the range of the last segment first (RFC 2018 §4), then the others from the lowest on. */
function tellRanges({ options }: Tcp, { ahead, canSack, lastAhead, receiveNext }: Connection): void {
  if (!canSack || ahead === undefined || ahead.count === 0) return;
  const { sacks } = options;
  let count = 0;
  if (lastAhead >= 0 && lastAhead < ahead.count) {
    sacks[0] = ahead.left[lastAhead]!;
    sacks[1] = ahead.right[lastAhead]!;
    count = 1;
  }
  for (let i = 0; i < ahead.count && count < 4; i++) {
    if (i === lastAhead || !isBefore(receiveNext, ahead.right[i]!)) continue;
    sacks[2 * count] = ahead.left[i]!;
    sacks[2 * count + 1] = ahead.right[i]!;
    count++;
  }
  options.sackCount = count;
}

/** Writes the Ethernet header: to the container, from the gateway. */
export function writeMacs({ bytes, view }: Memory, connection: Connection, at: number, ours: Uint8Array): void {
  view.setUint16(at + ETHERNET.destination, connection.macHigh);
  view.setInt32(at + ETHERNET.destination + 2, connection.macLow);
  for (let i = 0; i < 6; i++) bytes[at + ETHERNET.source + i] = ours[i]!;
  view.setUint16(at + ETHERNET.type, connection.isIpv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}
