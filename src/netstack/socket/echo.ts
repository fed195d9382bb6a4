/**
 * ICMP echo: the gateway answers itself, and what is outside is asked by the host's ping sockets (icmp(7)), which need no rights
 * where `net.ipv4.ping_group_range` has the user's group (C-099). Errors come back as the network sent them, so that
 * traceroute works too. Other messages of containers are about what they were sent, and need no answer.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EACCES, EAGAIN, EPERM } from "#linux/errno_values.ts";
import { decideDestination, isSourceAllowed } from "../destination.ts";
import type { Frame } from "../frame.ts";
import { HOST_FAILED, HOST_READABLE } from "../host_events.ts";
import { copyAddress, isIpv4, makeAddress } from "../ip_address.ts";
import type { Link, Protocol, Surroundings } from "../protocol.ts";
import {
  finishIcmp,
  ICMP,
  ICMP_ECHO_REPLY,
  ICMP_ECHO_REQUEST,
  ICMPV6_ECHO_REPLY,
  ICMPV6_ECHO_REQUEST,
  makeIcmpHeader,
  readIcmp,
  writeIcmp,
} from "../wire/icmp.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, sumPseudoHeader } from "../wire/ip.ts";
import { IPV4, writeIpv4 } from "../wire/ipv4.ts";
import { IPV6, writeIpv6 } from "../wire/ipv6.ts";
import { type DatagramSockets, makeDatagramError } from "./datagram_sockets.ts";
import { type Flow, type FlowBounds, type Flows, makeFlows } from "./flows.ts";
import { type IcmpErrors, kindOfErrno, kindOfError } from "./icmp_errors.ts";
import { HEADROOM, makeDatagram, sendDatagram } from "./send_datagram.ts";
import { makeUnfinished } from "./unfinished.ts";

const MAX_MESSAGE_BYTES = 65_515;
const QUOTE_BYTES = 1280;
/** What {@linkcode makeEcho} is given to write into. */
export const ECHO_SCRATCH_BYTES = HEADROOM + MAX_MESSAGE_BYTES + QUOTE_BYTES;
/** Answers to one container in a row. */
const BATCH = 32;
/** A socket that fails so often in a row is left alone until it is heard of again. */
const MAX_FAILURES = 4;

export interface EchoCounters {
  malformed: number;
  foreignSource: number;
  refused: number;
  answered: number;
  sent: number;
  received: number;
  lost: number;
  /** Pings that the host does not let this user send: `net.ipv4.ping_group_range`. */
  forbidden: number;
}

export interface EchoOptions {
  /** Its index in the stack, by which its sockets are watched. */
  readonly index: number;
  /** Offset of ECHO_SCRATCH_BYTES. */
  readonly scratch: number;
  readonly sockets: DatagramSockets;
  readonly errors: IcmpErrors;
  readonly bounds: FlowBounds;
  /** Whether a container may send to there (`--egress`), once for each flow. */
  permits(link: number, source: Frame["source"], destination: Frame["destination"]): boolean;
}

export interface Echo extends Protocol {
  readonly counters: EchoCounters;
  readonly flows: Flows;
}

export function makeEcho(surroundings: Surroundings, options: EchoOptions): Echo {
  const { memory: { bytes, view }, events } = surroundings;
  const { sockets, errors, index } = options;
  const messageAt = options.scratch + HEADROOM;
  const quoteAt = messageAt + MAX_MESSAGE_BYTES;
  const counters: EchoCounters = {
    malformed: 0,
    foreignSource: 0,
    refused: 0,
    answered: 0,
    sent: 0,
    received: 0,
    lost: 0,
    forbidden: 0,
  };
  const header = makeIcmpHeader();
  const target = makeAddress();
  const failure = makeDatagramError();
  const unfinished = makeUnfinished();
  const outgoing = makeDatagram(makeAddress(), makeAddress());
  const flows = makeFlows(options.bounds, surroundings.random, (flow) => sockets.close(flow.fd));

  /** Sends the reply whose data lie behind where its header goes. */
  function reply(
    link: number,
    source: Frame["source"],
    destination: Frame["source"],
    id: number,
    sequence: number,
    end: number,
    nowMs: number,
  ): boolean {
    const isV4 = isIpv4(destination);
    const protocol = isV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
    writeIcmp(view, messageAt, isV4 ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY, 0, (id << 16) | sequence);
    const pseudo = isV4 ? 0 : sumPseudoHeader(source, destination, protocol, end - messageAt);
    finishIcmp(view, messageAt, end, pseudo);
    outgoing.link = link;
    outgoing.family = isV4 ? 4 : 6;
    copyAddress(outgoing.source, source);
    copyAddress(outgoing.destination, destination);
    outgoing.protocol = protocol;
    outgoing.transport = messageAt;
    outgoing.end = end;
    return sendDatagram(surroundings, outgoing, nowMs);
  }

  function answerOurselves(frame: Frame, nowMs: number): void {
    const length = header.end - header.payload;
    bytes.copyWithin(messageAt + ICMP.SIZE, header.payload, header.end);
    const end = messageAt + ICMP.SIZE + length;
    reply(frame.link, frame.destination, frame.source, header.id, header.sequence, end, nowMs);
    counters.answered++;
  }

  function openFlow(frame: Frame, link: Link, nowMs: number): Flow | undefined {
    const { source, destination } = frame;
    if (!isSourceAllowed(link.reach, source)) {
      // neighbours talk by link-local addresses, and may ask whether the gateway is there
      const isNeighbour = source.a >>> 22 === 0x3fa && decideDestination(link.reach, destination, target) === "gateway";
      if (isNeighbour) answerOurselves(frame, nowMs);
      else counters.foreignSource++;
      return undefined;
    }
    const verdict = decideDestination(link.reach, destination, target);
    if (verdict === "gateway" || verdict === "host-loopback") {
      answerOurselves(frame, nowMs);
      return undefined;
    }
    if (verdict !== "outside" || !options.permits(frame.link, source, destination)) {
      counters.refused++;
      errors.refuse(frame, "prohibited", nowMs);
      return undefined;
    }
    const key = flows.reserve(frame.link, source);
    const fd = sockets.open("ping", frame.family);
    const result = fd < 0 ? fd : sockets.connect(fd as Fd, target, 0);
    if (result < 0) {
      if (fd >= 0) sockets.close(fd as Fd);
      counters.refused++;
      if (fd === -EACCES || fd === -EPERM) counters.forbidden++;
      errors.refuse(frame, kindOfErrno(-result), nowMs);
      return undefined;
    }
    const fresh = {
      link: frame.link,
      inside: source,
      insidePort: header.id,
      remote: destination,
      remotePort: 0,
      fd: fd as Fd,
      published: undefined,
    };
    const flow = flows.add(fresh, nowMs);
    events.watch(flow.fd, index, key);
    return flow;
  }

  function onRequest(frame: Frame, link: Link, nowMs: number): void {
    const flow = flows.find(frame.link, frame.source, header.id, frame.destination, 0) ?? openFlow(frame, link, nowMs);
    if (flow === undefined) return;
    if (frame.hopLimit <= 1) {
      errors.refuse(frame, "time-exceeded", nowMs);
      return;
    }
    if (flow.hopLimit !== frame.hopLimit - 1) {
      flow.hopLimit = frame.hopLimit - 1;
      sockets.setHopLimit(flow.fd, frame.family, flow.hopLimit);
    }
    flows.touch(flow, false, nowMs);
    // the kernel puts an id of its own in, and the checksum
    const length = header.end - header.start;
    let result = sockets.send(flow.fd, header.start, length);
    if (result < 0 && result !== -EAGAIN) {
      takeErrors(flow, nowMs);
      result = sockets.send(flow.fd, header.start, length);
    }
    if (result >= 0) {
      counters.sent++;
      return;
    }
    counters.lost++;
    if (result !== -EAGAIN) errors.refuse(frame, kindOfErrno(-result), nowMs);
  }

  function takeErrors(flow: Flow, nowMs: number): void {
    const isV4 = isIpv4(flow.inside);
    const quoted = quoteAt + (isV4 ? IPV4.SIZE : IPV6.SIZE);
    const room = quoteAt + QUOTE_BYTES - quoted;
    for (let i = 0; i < BATCH && sockets.takeError(flow.fd, quoted, room, failure); i++) {
      const { type, code, errno, mtu, offender, length } = failure;
      if (length < ICMP.SIZE) continue;
      const end = quoted + length;
      if (isV4) writeIpv4(view, quoteAt, end - quoteAt, PROTOCOL_ICMP, flow.inside, flow.remote);
      else writeIpv6(view, quoteAt, length, PROTOCOL_ICMPV6, flow.inside, flow.remote);
      view.setUint16(quoted + ICMP.id, flow.insidePort);
      const kind = kindOfError(isV4 ? 4 : 6, type, code, errno);
      errors.report(flow.link, type < 0 ? undefined : offender, flow.inside, kind, mtu, quoteAt, end, nowMs);
    }
  }

  /** Takes answers. @returns Whether there may be more. */
  function pumpFlow(flow: Flow, nowMs: number): boolean {
    let failures = 0;
    for (let i = 0; i < BATCH; i++) {
      const length = sockets.receive(flow.fd, messageAt, MAX_MESSAGE_BYTES, undefined);
      if (length === -EAGAIN) return false;
      if (length < ICMP.SIZE) {
        takeErrors(flow, nowMs);
        if (length < 0 && ++failures > MAX_FAILURES) return false;
        continue;
      }
      const type = bytes[messageAt + ICMP.type];
      if (type !== (isIpv4(flow.inside) ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY)) continue;
      flows.touch(flow, true, nowMs);
      const sequence = view.getUint16(messageAt + ICMP.sequence);
      const isSent = reply(
        flow.link,
        flow.remote,
        flow.inside,
        flow.insidePort,
        sequence,
        messageAt + length,
        nowMs,
      );
      if (isSent) counters.received++;
      else counters.lost++;
    }
    return true;
  }

  function pump(key: number, nowMs: number): void {
    const flow = flows.findByKey(key);
    if (flow !== undefined && pumpFlow(flow, nowMs)) unfinished.add(key);
  }

  return {
    counters,
    flows,
    onFrame(frame, nowMs) {
      const link = surroundings.links[frame.link];
      if (link === undefined) return;
      if (readIcmp(view, frame, header) !== undefined) {
        counters.malformed++;
        return;
      }
      const request = frame.family === 4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
      if (header.type === request && header.code === 0) onRequest(frame, link, nowMs);
    },
    onHostEvent(key, happened, nowMs) {
      const flow = flows.findByKey(key);
      if (flow === undefined) return;
      if ((happened & HOST_FAILED) !== 0) takeErrors(flow, nowMs);
      if ((happened & (HOST_READABLE | HOST_FAILED)) !== 0) pump(key, nowMs);
    },
    nextTimerMs: () => unfinished.isEmpty ? flows.nextTimerMs() : -Infinity,
    onTimer: (nowMs) => flows.expire(nowMs),
    onTurnEnd: (nowMs) => unfinished.goOn(pump, nowMs),
  };
}
