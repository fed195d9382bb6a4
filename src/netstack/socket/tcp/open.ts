/**
 * Connections that begin: a SYN from inside, for which the host connects first (refused is RST, unreachable is ICMP, as the host
 * saw it), and a client at a published port, which is opened inside with the client's own address.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { copyAddress, type IpAddress, isIpv4, makeAddress } from "../../ip_address.ts";
import type { Frame } from "../../frame.ts";
import { ETHERNET } from "../../wire/ethernet.ts";
import { type IcmpErrorKind } from "../../wire/icmp.ts";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, type TcpHeader } from "../../wire/tcp.ts";
import { CONNECTING, type Connection, SYN_RECEIVED, SYN_SENT } from "./connection.ts";
import { onHostEvents } from "./host_side.ts";
import { takeSynOptions } from "./input.ts";
import { abort, claim, enter, free, isTaken, keyOf, ownerOf, startSequences } from "./lifetime.ts";
import { timeoutOf } from "./output.ts";
import { type Listener, type Tcp, touch } from "./tcp_state.ts";
import { sendSegment, sendSyn } from "./transmit.ts";
import { sendUnreachable } from "./unreachable.ts";
import { HOST_CLOSED, HOST_FAILED, HOST_READABLE, HOST_WRITABLE } from "../../host_events.ts";

const EINTR = 4;
const EAGAIN = 11;
const EACCES = 13;
const EPERM = 1;
const ENFILE = 23;
const EMFILE = 24;
const ENETUNREACH = 101;
const ECONNABORTED = 103;
const ETIMEDOUT = 110;
const EHOSTUNREACH = 113;
const EINPROGRESS = 115;

/** Linux gives a connect up after 127 s (tcp(7), tcp_syn_retries). */
const CONNECT_MS = 130_000;
/** How many clients a listener takes in one turn. */
const ACCEPTS_A_TURN = 64;
const ACCEPT_AGAIN_MS = 100;
/** How soon SYN is sent again where nobody knew the container's MAC yet. */
const NEIGHBOUR_RETRY_MS = 2;

/** A SYN from inside for which there is no connection. */
export function onNewSyn(tcp: Tcp, frame: Frame, header: TcpHeader, nowMs: number): void {
  const { source, destination, link } = frame;
  const { target } = tcp;
  const verdict = tcp.policy.decide(link, source, destination, header.destinationPort, target, nowMs);
  if (verdict === "drop") return;
  if (verdict !== "connect" && verdict !== "local") {
    tcp.counters.refused++;
    refuse(tcp, frame, header, verdict);
    return;
  }
  const owner = tcp.owners.size > 0 ? ownerOf(tcp, link, source) : undefined;
  if (owner !== undefined && owner.opening >= tcp.limits.openingOfOne) {
    // its sender tries again; others are not touched by it
    tcp.counters.overQuota++;
    if (verdict === "local") tcp.sockets.close(target.fd);
    return;
  }
  const connection = claim(tcp, link, source, header.sourcePort, destination, header.destinationPort, nowMs);
  if (connection === undefined) {
    if (verdict === "local") tcp.sockets.close(target.fd);
    refuse(tcp, frame, header, "refuse");
    return;
  }
  rememberMac(tcp, connection, frame);
  takeSynOptions(tcp, connection, header, tcp.around.links[link]!.mtu);
  startSequences(tcp, connection, nowMs);
  enter(tcp, connection, CONNECTING);
  connection.idleAtMs = nowMs + CONNECT_MS;
  touch(tcp, connection);
  if (verdict === "local") {
    connection.fd = target.fd;
    tcp.around.events.watch(connection.fd, tcp.protocol, keyOf(connection));
    hostConnected(tcp, connection, nowMs);
    return;
  }
  const fd = tcp.sockets.open(isIpv4(target.address) ? 4 : 6);
  if (fd < 0) {
    hostFailed(tcp, connection, -fd, nowMs);
    return;
  }
  connection.fd = fd as Fd;
  const result = tcp.sockets.connect(connection.fd, target.address, target.port);
  if (result < 0 && result !== -EINPROGRESS) {
    hostFailed(tcp, connection, -result, nowMs);
    return;
  }
  tcp.around.events.watch(connection.fd, tcp.protocol, keyOf(connection));
  if (result === 0) hostConnected(tcp, connection, nowMs);
}

/** The host's connect has ended, one way or the other. */
export function onConnectEvents(tcp: Tcp, connection: Connection, events: number, nowMs: number): void {
  const failure = (events & (HOST_FAILED | HOST_WRITABLE)) !== 0 ? tcp.sockets.failureOf(connection.fd) : 0;
  if (failure !== 0) {
    hostFailed(tcp, connection, failure, nowMs);
    return;
  }
  if ((events & HOST_WRITABLE) !== 0) {
    hostConnected(tcp, connection, nowMs);
    onHostEvents(tcp, connection, events & ~HOST_FAILED, nowMs);
  }
}

function hostConnected(tcp: Tcp, connection: Connection, nowMs: number): void {
  tcp.counters.opened++;
  report(tcp, connection, 0, nowMs);
  enter(tcp, connection, SYN_RECEIVED);
  connection.isHostWritable = true;
  connection.isHostReadable = true;
  connection.idleAtMs = Infinity;
  connection.timedSinceMs = nowMs;
  connection.retransmitAtMs = nowMs + timeoutOf(connection);
  sendSyn(tcp, connection, true);
  touch(tcp, connection);
}

/** Says inside what the host's kernel has said. */
function hostFailed(tcp: Tcp, connection: Connection, errno: number, nowMs: number): void {
  tcp.counters.refused++;
  report(tcp, connection, errno, nowMs);
  const kind = unreachableKind(errno);
  if (kind !== undefined) sendUnreachable(tcp, connection, kind);
  // where the host heard nothing, neither does the container, whose own patience ends at the same time
  else if (errno !== ETIMEDOUT) {
    connection.next = 0;
    sendSegment(tcp, connection, 0, TCP_RST | TCP_ACK, 0, 0);
  }
  if (connection.fd !== -1) tcp.sockets.close(connection.fd);
  connection.fd = -1 as Fd;
  free(tcp, connection);
}

function unreachableKind(errno: number): IcmpErrorKind | undefined {
  if (errno === ENETUNREACH) return "network-unreachable";
  if (errno === EHOSTUNREACH) return "host-unreachable";
  // a packet filter of the host
  return errno === EACCES || errno === EPERM ? "prohibited" : undefined;
}

function report(tcp: Tcp, { link, inside, outside, outsidePort }: Connection, errno: number, nowMs: number): void {
  tcp.policy.opened(link, inside, outside, outsidePort, errno, nowMs);
}

/** Answers a segment for which there is no connection: RST, unless it is one (RFC 9293 §3.10.7.1). */
export function answerStranger(tcp: Tcp, frame: Frame, header: TcpHeader): void {
  if ((header.flags & TCP_RST) !== 0) return;
  refuse(tcp, frame, header, "refuse");
}

function refuse(tcp: Tcp, frame: Frame, header: TcpHeader, verdict: "refuse" | "prohibit" | "unreachable"): void {
  const { stranger } = tcp;
  stranger.link = frame.link;
  copyAddress(stranger.inside, frame.source);
  copyAddress(stranger.outside, frame.destination);
  stranger.insidePort = header.sourcePort;
  stranger.outsidePort = header.destinationPort;
  stranger.isIpv4 = frame.family === 4;
  stranger.initialReceive = header.sequence | 0;
  stranger.mss = 536;
  rememberMac(tcp, stranger, frame);
  if (verdict !== "refuse") {
    sendUnreachable(tcp, stranger, verdict === "prohibit" ? "prohibited" : "host-unreachable");
    return;
  }
  const length = header.end - header.payload + ((header.flags & TCP_SYN) !== 0 ? 1 : 0) +
    ((header.flags & TCP_FIN) !== 0 ? 1 : 0);
  stranger.receiveNext = (header.sequence + length) | 0;
  stranger.receiveEdge = stranger.receiveNext;
  if ((header.flags & TCP_ACK) !== 0) sendSegment(tcp, stranger, header.acknowledgement | 0, TCP_RST, 0, 0);
  else sendSegment(tcp, stranger, 0, TCP_RST | TCP_ACK, 0, 0);
}

/** Answers go where the SYN came from. */
function rememberMac(tcp: Tcp, connection: Connection, frame: Frame): void {
  const { view } = tcp.around.memory;
  connection.macHigh = view.getUint16(frame.start + ETHERNET.source);
  connection.macLow = view.getInt32(frame.start + ETHERNET.source + 2);
}

/** Takes the clients that wait at a listener. @returns Whether there may be more. */
export function acceptClients(tcp: Tcp, listener: Listener, nowMs: number): boolean {
  for (let count = 0; count < ACCEPTS_A_TURN; count++) {
    const fd = tcp.sockets.accept(listener.fd, tcp.peer);
    if (fd === -EAGAIN) return false;
    if (fd === -EINTR || fd === -ECONNABORTED) continue;
    if (fd < 0) {
      // no descriptor left: those that wait are taken when others have ended
      tcp.acceptAgainMs = nowMs + ACCEPT_AGAIN_MS;
      if (fd === -EMFILE || fd === -ENFILE) tcp.counters.overQuota++;
      return true;
    }
    openInside(tcp, listener, fd as Fd, nowMs);
  }
  return true;
}

function openInside(tcp: Tcp, listener: Listener, fd: Fd, nowMs: number): void {
  const { link, container, containerPort } = listener;
  const shown = makeAddress();
  tcp.policy.showClient(link, tcp.peer.address, container, shown);
  const port = freePort(tcp, link, container, containerPort, shown, tcp.peer.port);
  const connection = port === 0 ? undefined : claim(tcp, link, container, containerPort, shown, port, nowMs);
  if (connection === undefined) {
    tcp.sockets.reset(fd);
    return;
  }
  tcp.counters.accepted++;
  connection.fd = fd;
  connection.macHigh = -1;
  connection.isHostWritable = true;
  connection.isHostReadable = true;
  connection.mss = 536;
  startSequences(tcp, connection, nowMs);
  enter(tcp, connection, SYN_SENT);
  tcp.around.events.watch(fd, tcp.protocol, keyOf(connection));
  tryToOpen(tcp, connection, nowMs);
}

/** Sends SYN, as soon as the container's MAC is known. */
export function tryToOpen(tcp: Tcp, connection: Connection, nowMs: number): void {
  touch(tcp, connection);
  if (connection.macHigh === -1) {
    const { memory, neighbours } = tcp.around;
    const family = connection.isIpv4 ? 4 : 6;
    if (!neighbours.writeMac(connection.link, family, connection.inside, tcp.headers, nowMs)) {
      connection.retransmitAtMs = nowMs + NEIGHBOUR_RETRY_MS;
      return;
    }
    connection.macHigh = memory.view.getUint16(tcp.headers);
    connection.macLow = memory.view.getInt32(tcp.headers + 2);
  }
  connection.timedSinceMs = nowMs;
  connection.retransmitAtMs = nowMs + timeoutOf(connection);
  sendSyn(tcp, connection, false);
}

/** The client's port, or where that is taken (two clients that are shown as the gateway) another one; 0 when there is none. */
function freePort(
  tcp: Tcp,
  link: number,
  container: IpAddress,
  containerPort: number,
  shown: IpAddress,
  wanted: number,
): number {
  let port = wanted;
  for (let tries = 0; tries < 64; tries++) {
    if (isTaken(tcp, link, container, containerPort, shown, port) === undefined) return port;
    port = 1024 + tcp.around.random() % (65_536 - 1024);
  }
  return 0;
}

/** Events of a connection that is not open yet. */
export function onOpeningEvents(tcp: Tcp, connection: Connection, events: number, nowMs: number): void {
  if (connection.state === CONNECTING) {
    onConnectEvents(tcp, connection, events, nowMs);
    return;
  }
  // a client that has gone again
  if ((events & HOST_FAILED) !== 0 && tcp.sockets.failureOf(connection.fd) !== 0) {
    abort(tcp, connection, true);
    return;
  }
  if ((events & HOST_CLOSED) !== 0) connection.isHostClosing = true;
  if ((events & (HOST_READABLE | HOST_CLOSED)) !== 0) connection.isHostReadable = true;
}
