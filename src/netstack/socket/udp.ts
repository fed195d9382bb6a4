/**
 * UDP between containers and sockets of the host. Each flow outwards has a connected socket of its own, so that answers come
 * from the address that was asked and errors belong to their flow; the clients of a published port share its listener, and
 * are seen inside with their own address, from the first datagram on (C-089 … C-091).
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EAGAIN } from "#linux/errno_values.ts";
import { decideDestination, isSourceAllowed } from "../destination.ts";
import type { Frame } from "../frame.ts";
import { HOST_FAILED, HOST_READABLE } from "../host_events.ts";
import { copyAddress, type IpAddress, isIpv4, makeAddress, sameAddress } from "../ip_address.ts";
import type { Link, Protocol, Surroundings } from "../protocol.ts";
import { DHCP_SERVER_PORT } from "../wire/dhcp.ts";
import { DNS_PORT } from "../wire/dns.ts";
import { PROTOCOL_UDP, sumPseudoHeader } from "../wire/ip.ts";
import { IPV4, writeIpv4 } from "../wire/ipv4.ts";
import { IPV6, writeIpv6 } from "../wire/ipv6.ts";
import { makeUdpHeader, readUdp, UDP, type UdpHeader, writeUdp } from "../wire/udp.ts";
import { type DatagramSockets, makeDatagramError, makeDatagramOrigin } from "./datagram_sockets.ts";
import { type Flow, FLOW_KEYS, type FlowBounds, type Flows, makeFlows } from "./flows.ts";
import { type IcmpErrors, kindOfErrno, kindOfError } from "./icmp_errors.ts";
import { fitsLink, HEADROOM, makeDatagram, sendDatagram } from "./send_datagram.ts";
import { makeUnfinished } from "./unfinished.ts";

const MAX_PAYLOAD_BYTES = 65_507;
const QUOTE_BYTES = 1280;
/** What {@linkcode makeUdp} is given to write into. */
export const UDP_SCRATCH_BYTES = HEADROOM + UDP.SIZE + MAX_PAYLOAD_BYTES + QUOTE_BYTES;
/** Datagrams of one socket in a row: a flood on one does not keep others waiting. */
const BATCH = 32;
/** A socket that fails so often in a row is left alone until it is heard of again. */
const MAX_FAILURES = 4;
/** Ports that are tried for a client that cannot be seen with its own. */
const PORT_TRIES = 16;

/** Who answers on the stack's own addresses. */
export interface UdpServices {
  dns(frame: Frame, udp: UdpHeader, nowMs: number): void;
  dhcp(frame: Frame, udp: UdpHeader, nowMs: number): void;
}

export interface UdpCounters {
  malformed: number;
  /** Datagrams whose source is none of the link's. */
  foreignSource: number;
  /** To where nothing may be sent. */
  refused: number;
  sent: number;
  received: number;
  /** What the host or a link could not take. */
  lost: number;
}

export interface UdpOptions {
  /** Its index in the stack, by which its sockets are watched. */
  readonly index: number;
  /** Offset of UDP_SCRATCH_BYTES. */
  readonly scratch: number;
  readonly sockets: DatagramSockets;
  readonly errors: IcmpErrors;
  readonly services: UdpServices;
  readonly bounds: FlowBounds;
  /** Whether a container may send to there (`--egress`), once for each flow. */
  permits(link: number, source: IpAddress, destination: IpAddress, port: number): boolean;
}

/** A published port. */
interface Listener {
  readonly fd: Fd;
  readonly link: number;
  readonly hostAddress: IpAddress;
  readonly hostPort: number;
  readonly container: IpAddress;
  readonly containerPort: number;
}

export interface Udp extends Protocol {
  readonly counters: UdpCounters;
  readonly flows: Flows;
  /** Listens on a port of the host for a container. @returns 0, or minus errno. */
  publish(
    link: number,
    hostAddress: IpAddress,
    hostPort: number,
    container: IpAddress,
    containerPort: number,
  ): number;
  /** Listens no more. @returns Whether it did. */
  unpublish(hostAddress: IpAddress, hostPort: number): boolean;
  /**
   * Sends to a container, in the name of whom it pleases: for the stack's own services.
   * @param payload Offset of the data, before which HEADROOM and a UDP header are free.
   */
  send(
    link: number,
    source: IpAddress,
    sourcePort: number,
    destination: IpAddress,
    destinationPort: number,
    payload: number,
    end: number,
    nowMs: number,
  ): void;
}

export function makeUdp(surroundings: Surroundings, options: UdpOptions): Udp {
  const { memory: { view }, events } = surroundings;
  const { sockets, errors, services, index } = options;
  const transportAt = options.scratch + HEADROOM;
  const payloadAt = transportAt + UDP.SIZE;
  const quoteAt = payloadAt + MAX_PAYLOAD_BYTES;
  const counters: UdpCounters = { malformed: 0, foreignSource: 0, refused: 0, sent: 0, received: 0, lost: 0 };
  const header = makeUdpHeader();
  const target = makeAddress();
  const seen = makeAddress();
  const origin = makeDatagramOrigin();
  const failure = makeDatagramError();
  const outgoing = makeDatagram(makeAddress(), makeAddress());
  outgoing.protocol = PROTOCOL_UDP;
  const listeners: (Listener | undefined)[] = [];
  const unfinished = makeUnfinished();
  const flows = makeFlows(options.bounds, surroundings.random, (flow) => {
    if (flow.published === undefined) sockets.close(flow.fd);
  });

  /** A flow to where a frame goes; undefined when its sender was told why there is none. */
  function openFlow(frame: Frame, link: Link, nowMs: number): Flow | undefined {
    const { source, destination } = frame;
    if (!isSourceAllowed(link.reach, source)) {
      counters.foreignSource++;
      return undefined;
    }
    const verdict = decideDestination(link.reach, destination, target);
    if (verdict === "gateway") {
      if (header.destinationPort === DNS_PORT) services.dns(frame, header, nowMs);
      else errors.refuse(frame, "port-unreachable", nowMs);
      return undefined;
    }
    const isOpen = verdict === "outside" || verdict === "host-loopback";
    if (!isOpen || !options.permits(frame.link, source, destination, header.destinationPort)) {
      counters.refused++;
      errors.refuse(frame, "prohibited", nowMs);
      return undefined;
    }
    const key = flows.reserve(frame.link, source);
    const fd = sockets.open("udp", frame.family);
    const result = fd < 0 ? fd : sockets.connect(fd as Fd, target, header.destinationPort);
    if (result < 0) {
      if (fd >= 0) sockets.close(fd as Fd);
      counters.refused++;
      errors.refuse(frame, kindOfErrno(-result), nowMs);
      return undefined;
    }
    const flow = flows.add({
      link: frame.link,
      inside: source,
      insidePort: header.sourcePort,
      remote: destination,
      remotePort: header.destinationPort,
      fd: fd as Fd,
      published: undefined,
    }, nowMs);
    if (flow.key !== key) throw new Error("A flow has another key than its socket");
    events.watch(flow.fd, index, key);
    return flow;
  }

  /** Sends one datagram into a flow. @returns 0 or more, or minus errno. */
  function sendOne(flow: Flow, at: number, length: number): number {
    const { published } = flow;
    if (published === undefined) return sockets.send(flow.fd, at, length);
    return sockets.answer(flow.fd, at, length, published.local, published.address, published.port);
  }

  function sendAll(flow: Flow, frame: Frame, nowMs: number): void {
    const step = frame.segmentSizeBytes > 0 ? frame.segmentSizeBytes : MAX_PAYLOAD_BYTES;
    let at = header.payload;
    do {
      const length = Math.min(step, header.end - at);
      let result = sendOne(flow, at, length);
      if (result < 0 && result !== -EAGAIN) {
        // an error that an earlier datagram has met is told once, in place of sending
        takeErrors(flow, nowMs);
        result = sendOne(flow, at, length);
      }
      if (result >= 0) {
        counters.sent++;
      } else {
        counters.lost++;
        if (result !== -EAGAIN) errors.refuse(frame, kindOfErrno(-result), nowMs);
      }
      at += length;
    } while (at < header.end);
  }

  /** Tells inside what the network has said of a flow. */
  function takeErrors(flow: Flow, nowMs: number): void {
    if (flow.published !== undefined) return;
    const headerBytes = isIpv4(flow.inside) ? IPV4.SIZE : IPV6.SIZE;
    const quoted = quoteAt + headerBytes + UDP.SIZE;
    const room = QUOTE_BYTES - headerBytes - UDP.SIZE;
    for (let i = 0; i < BATCH && sockets.takeError(flow.fd, quoted, room, failure); i++) {
      const length = UDP.SIZE + failure.length;
      const end = quoted + failure.length;
      if (isIpv4(flow.inside)) writeIpv4(view, quoteAt, headerBytes + length, PROTOCOL_UDP, flow.inside, flow.remote);
      else writeIpv6(view, quoteAt, length, PROTOCOL_UDP, flow.inside, flow.remote);
      const pseudo = sumPseudoHeader(flow.inside, flow.remote, PROTOCOL_UDP, length);
      writeUdp(view, quoted - UDP.SIZE, flow.insidePort, flow.remotePort, length, pseudo, false);
      const { type, code, errno, mtu, offender } = failure;
      const kind = kindOfError(isIpv4(flow.inside) ? 4 : 6, type, code, errno);
      errors.report(flow.link, type < 0 ? undefined : offender, flow.inside, kind, mtu, quoteAt, end, nowMs);
    }
  }

  /** Sends the payload at `payload`, before which there is room for headers, to a container. */
  function deliver(
    linkIndex: number,
    source: IpAddress,
    sourcePort: number,
    destination: IpAddress,
    destinationPort: number,
    payload: number,
    end: number,
    nowMs: number,
  ): void {
    const link = surroundings.links[linkIndex];
    if (link === undefined) return;
    const transport = payload - UDP.SIZE;
    const length = end - transport;
    outgoing.link = linkIndex;
    outgoing.family = isIpv4(destination) ? 4 : 6;
    copyAddress(outgoing.source, source);
    copyAddress(outgoing.destination, destination);
    outgoing.transport = transport;
    outgoing.end = end;
    const isPartial = fitsLink(link, outgoing.family, length);
    outgoing.checksumOffset = isPartial ? UDP.checksum : -1;
    const pseudo = sumPseudoHeader(source, destination, PROTOCOL_UDP, length);
    writeUdp(view, transport, sourcePort, destinationPort, length, pseudo, isPartial);
    if (sendDatagram(surroundings, outgoing, nowMs)) counters.received++;
    else counters.lost++;
  }

  /** Takes answers. @returns Whether there may be more. */
  function pumpFlow(flow: Flow, nowMs: number): boolean {
    let failures = 0;
    for (let i = 0; i < BATCH; i++) {
      const length = sockets.receive(flow.fd, payloadAt, MAX_PAYLOAD_BYTES, undefined);
      if (length === -EAGAIN) return false;
      if (length < 0) {
        takeErrors(flow, nowMs);
        if (++failures > MAX_FAILURES) return false;
        continue;
      }
      flows.touch(flow, true, nowMs);
      const { link, remote, remotePort, inside, insidePort } = flow;
      deliver(link, remote, remotePort, inside, insidePort, payloadAt, payloadAt + length, nowMs);
    }
    return true;
  }

  /** The address by which a client of a published port is seen inside: its own, where that can be answered from there. */
  function seeClient(link: Link, container: IpAddress, client: IpAddress): boolean {
    const isV4 = isIpv4(container);
    const own = isV4 ? link.addresses.ipv4 : link.addresses.ipv6;
    if (own === undefined) return false;
    const isPlain = isIpv4(client) === isV4 && decideDestination(link.reach, client, seen) === "outside";
    copyAddress(seen, isPlain ? client : own.address);
    return true;
  }

  /** The flow of a published port's client, found or made. */
  function flowOfClient(listener: Listener, link: Link, nowMs: number): Flow | undefined {
    const { container, containerPort } = listener;
    if (!seeClient(link, container, origin.address)) return undefined;
    for (let i = 0; i < PORT_TRIES; i++) {
      // a client whose address cannot be shown may have to share it, and then has another port
      const port = i === 0 ? origin.port : 1024 + ((origin.port * 31 + i * 7919) % 64_000);
      const found = flows.find(listener.link, container, containerPort, seen, port);
      const published = found?.published;
      if (published !== undefined && found !== undefined) {
        const isIt = published.port === origin.port && sameAddress(published.address, origin.address) &&
          sameAddress(published.local, origin.local) && found.fd === listener.fd;
        if (isIt) return found;
        continue;
      }
      // the container has asked that very address and port itself: whoever talks first now has the flow
      if (found !== undefined) flows.end(found);
      flows.reserve(listener.link, container);
      return flows.add({
        link: listener.link,
        inside: container,
        insidePort: containerPort,
        remote: seen,
        remotePort: port,
        fd: listener.fd,
        published: { address: { ...origin.address }, port: origin.port, local: { ...origin.local } },
      }, nowMs);
    }
    return undefined;
  }

  function pumpListener(listener: Listener, nowMs: number): boolean {
    const link = surroundings.links[listener.link];
    let failures = 0;
    for (let i = 0; i < BATCH; i++) {
      const length = sockets.receive(listener.fd, payloadAt, MAX_PAYLOAD_BYTES, origin);
      if (length === -EAGAIN || (length < 0 && ++failures > MAX_FAILURES)) return false;
      const flow = length < 0 || link === undefined ? undefined : flowOfClient(listener, link, nowMs);
      if (flow === undefined) {
        counters.lost++;
        continue;
      }
      flows.touch(flow, true, nowMs);
      const { remote, remotePort, inside, insidePort } = flow;
      deliver(listener.link, remote, remotePort, inside, insidePort, payloadAt, payloadAt + length, nowMs);
    }
    return true;
  }

  function pump(key: number, nowMs: number): void {
    let hasMore = false;
    if (key >= FLOW_KEYS) {
      const listener = listeners[key - FLOW_KEYS];
      if (listener !== undefined) hasMore = pumpListener(listener, nowMs);
    } else {
      const flow = flows.findByKey(key);
      if (flow !== undefined) hasMore = pumpFlow(flow, nowMs);
    }
    if (hasMore) unfinished.add(key);
  }

  return {
    counters,
    flows,
    onFrame(frame, nowMs) {
      const link = surroundings.links[frame.link];
      if (link === undefined) return;
      if (readUdp(view, frame, frame.checksumIsGood, header) !== undefined) {
        counters.malformed++;
        return;
      }
      let flow = flows.find(frame.link, frame.source, header.sourcePort, frame.destination, header.destinationPort);
      if (flow === undefined) {
        if (frame.family === 4 && header.destinationPort === DHCP_SERVER_PORT) {
          services.dhcp(frame, header, nowMs);
          return;
        }
        flow = openFlow(frame, link, nowMs);
        if (flow === undefined) return;
      }
      if (frame.hopLimit <= 1) {
        errors.refuse(frame, "time-exceeded", nowMs);
        return;
      }
      if (flow.published === undefined && flow.hopLimit !== frame.hopLimit - 1) {
        flow.hopLimit = frame.hopLimit - 1;
        sockets.setHopLimit(flow.fd, frame.family, flow.hopLimit);
      }
      flows.touch(flow, false, nowMs);
      sendAll(flow, frame, nowMs);
    },
    onHostEvent(key, happened, nowMs) {
      const flow = (happened & HOST_FAILED) === 0 ? undefined : flows.findByKey(key);
      if (flow !== undefined) takeErrors(flow, nowMs);
      if ((happened & (HOST_READABLE | HOST_FAILED)) !== 0) pump(key, nowMs);
    },
    nextTimerMs: () => unfinished.isEmpty ? flows.nextTimerMs() : -Infinity,
    onTimer: (nowMs) => flows.expire(nowMs),
    onTurnEnd: (nowMs) => unfinished.goOn(pump, nowMs),
    publish(link, hostAddress, hostPort, container, containerPort) {
      const fd = sockets.listen(isIpv4(hostAddress) ? 4 : 6, hostAddress, hostPort);
      if (fd < 0) return fd;
      const place = listeners.indexOf(undefined);
      const key = place < 0 ? listeners.length : place;
      listeners[key] = {
        fd: fd as Fd,
        link,
        hostAddress: { ...hostAddress },
        hostPort,
        container: { ...container },
        containerPort,
      };
      events.watch(fd as Fd, index, FLOW_KEYS + key);
      return 0;
    },
    unpublish(hostAddress, hostPort) {
      const place = listeners.findIndex((listener) =>
        listener !== undefined && listener.hostPort === hostPort && sameAddress(listener.hostAddress, hostAddress)
      );
      const listener = listeners[place];
      if (listener === undefined) return false;
      listeners[place] = undefined;
      flows.endWhere((flow) => flow.fd === listener.fd);
      sockets.close(listener.fd);
      return true;
    },
    send: deliver,
  };
}
