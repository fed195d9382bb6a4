/**
 * Who has an address on a link: ARP (RFC 826) and neighbour discovery (RFC 4861), asked and answered; and router
 * advertisements on links whose containers are told their addresses.
 *
 * What is known is bounded for each link, and an entry that the engine has fixed is changed by no frame.
 *
 * @module
 */
import type { Frame } from "../frame.ts";
import { type Family, type IpAddress, isInPrefix, isIpv4, makeAddress, sameAddress } from "../ip_address.ts";
import type { LinkAddress } from "../link_addresses.ts";
import type { Link, Neighbours, Protocol, Surroundings } from "../protocol.ts";
import { ARP, ARP_REPLY, ARP_REQUEST, checkArp, writeArp } from "../wire/arp.ts";
import { ETHERNET, ETHERTYPE_ARP, ETHERTYPE_IPV6, isMac, multicastMac, writeEthernet } from "../wire/ethernet.ts";
import {
  finishIcmp,
  ICMPV6_NEIGHBOUR_ADVERTISEMENT,
  ICMPV6_NEIGHBOUR_SOLICITATION,
  ICMPV6_ROUTER_SOLICITATION,
  makeIcmpHeader,
  readIcmp,
} from "../wire/icmp.ts";
import { PROTOCOL_ICMPV6, readAddress4, readAddress6, sumPseudoHeader } from "../wire/ip.ts";
import { IPV6, writeIpv6 } from "../wire/ipv6.ts";
import {
  checkNdp,
  copyNdpMac,
  NA_OVERRIDE,
  NA_ROUTER,
  NA_SOLICITED,
  NEIGHBOUR,
  writeNeighbour,
  writeRouterAdvertisement,
} from "../wire/ndp.ts";
import { VNET, writePlainVnet } from "../wire/vnet.ts";
import { makeHeldFrames } from "./held_frames.ts";
import { makeNeighbourEntries, type Neighbour } from "./neighbour_entries.ts";

/** An entry is used so long without asking again. */
const FRESH_MS = 15_000;
/** One that was asked for and has not answered for so long is not known any more. */
const ANSWER_MS = 2_000;
/** The same address is asked for so often at most. */
const ASK_EVERY_MS = 500;
/** How often a router says that it is there (RFC 4861 §6.2.1: MaxRtrAdvInterval). */
const ADVERTISE_EVERY_MS = 600_000;
const ROUTER_LIFETIME_SECONDS = 1800;
const HOP_LIMIT = 255;

/** What a maker is given to write frames into, in bytes. */
export const NEIGHBOUR_SCRATCH_BYTES = 512;
const BROADCAST = Uint8Array.of(255, 255, 255, 255, 255, 255);
const NO_MAC = new Uint8Array(6);
const UNSPECIFIED: IpAddress = { a: 0, b: 0, c: 0, d: 0 };
const ALL_NODES: IpAddress = { a: 0xff020000 | 0, b: 0, c: 0, d: 1 };

/** What is counted. */
export interface NeighbourCounters {
  malformed: number;
  /** Answers that nobody asked for, senders that are not of the link. */
  unexpected: number;
  heldFrames: number;
}

/** Who has an address, as the engine knows it. */
export interface Station {
  readonly address: IpAddress;
  readonly mac: Uint8Array;
}

export interface NeighbourTable extends Protocol, Neighbours {
  readonly counters: NeighbourCounters;
  /** Stations that were pushed out by others of their link. */
  readonly evictedCount: number;
  /**
   * The engine knows all addresses of a link's containers, and the station of each: others are not believed, and no frame
   * changes them. An empty list gives that up.
   */
  setStations(link: number, stations: readonly Station[]): void;
  /** Whether a frame of IP comes from its address's own station, as far as the engine has told. */
  isHonest(frame: Frame): boolean;
  /** Forgets an address whose container is gone, or a link and all on it. */
  forget(link: number, address?: IpAddress): void;
}

/**
 * Makes the table.
 * @param scratch Offset of NEIGHBOUR_SCRATCH_BYTES for frames of its own, and HELD_SPACE_BYTES behind them.
 * @param onKnown Called when an address has answered that was asked for.
 */
export function makeNeighbours(
  surroundings: Omit<Surroundings, "neighbours">,
  scratch: number,
  onKnown: (link: number, address: IpAddress, nowMs: number) => void = () => {},
): NeighbourTable {
  const { memory } = surroundings;
  const { bytes, view } = memory;
  /** Links of which the engine has told all stations. */
  const closedLinks = new Set<number>();
  const counters: NeighbourCounters = { malformed: 0, unexpected: 0, heldFrames: 0 };
  const icmp = makeIcmpHeader();
  const sender = makeAddress();
  const target = makeAddress();
  const senderMac = new Uint8Array(6);
  const held = makeHeldFrames(memory, scratch + NEIGHBOUR_SCRATCH_BYTES);
  const entries = makeNeighbourEntries(surroundings.random, (neighbour) => held.forget(neighbour));
  let advertiseMs = -Infinity;

  /** Notes who has an address. @param wasAsked Whether only an entry that was asked for is to be changed. */
  function learn(link: number, address: IpAddress, mac: Uint8Array, wasAsked: boolean, nowMs: number): void {
    const neighbour = wasAsked ? entries.find(link, address) : entries.findOrAdd(link, address);
    if (neighbour?.isFixed) return;
    if (neighbour === undefined || (wasAsked && nowMs - neighbour.askedMs > ANSWER_MS)) {
      counters.unexpected++;
      return;
    }
    neighbour.mac.set(mac);
    neighbour.heardMs = nowMs;
    neighbour.askedMs = -Infinity;
    neighbour.owesSinceMs = Infinity;
    entries.refresh(neighbour);
    if (neighbour.isKnown) return;
    neighbour.isKnown = true;
    release(neighbour);
    onKnown(link, address, nowMs);
  }

  function fix(link: number, { address, mac }: Station): void {
    const neighbour = entries.findOrAdd(link, address);
    neighbour.mac.set(mac);
    neighbour.isFixed = true;
    neighbour.isKnown = true;
    release(neighbour);
  }

  /** Sends what has waited for a neighbour. */
  function release(neighbour: Neighbour): void {
    const link = surroundings.links[neighbour.link];
    if (link === undefined) held.forget(neighbour);
    else held.release(neighbour, link.device);
  }

  function ask(link: Link, neighbour: Neighbour, nowMs: number): void {
    if (nowMs - neighbour.askedMs < ASK_EVERY_MS) return;
    neighbour.askedMs = nowMs;
    neighbour.owesSinceMs = Math.min(neighbour.owesSinceMs, nowMs);
    if (isIpv4(neighbour.address)) {
      const own = link.addresses.ipv4;
      if (own === undefined) return;
      sendArp(link, ARP_REQUEST, BROADCAST, own.address, NO_MAC, neighbour.address);
      return;
    }
    const own = link.addresses.ipv6;
    if (own?.linkLocal === undefined) return;
    // the solicited-node group (RFC 4291 §2.7.1)
    const group = { a: 0xff020000 | 0, b: 0, c: 1, d: 0xff000000 | (neighbour.address.d & 0xffffff) };
    const at = scratch + VNET.SIZE + ETHERNET.SIZE + IPV6.SIZE;
    const end = writeNeighbour(memory, at, ICMPV6_NEIGHBOUR_SOLICITATION, 0, neighbour.address, link.macAddress);
    sendIcmpv6(link, multicastMac(group), own.linkLocal, group, end);
  }

  function sendArp(
    link: Link,
    operation: number,
    destination: Uint8Array,
    senderIp: IpAddress,
    targetMac: Uint8Array,
    targetIp: IpAddress,
  ): void {
    writePlainVnet(view, scratch);
    writeEthernet(memory, scratch + VNET.SIZE, destination, link.macAddress, ETHERTYPE_ARP);
    const at = scratch + VNET.SIZE + ETHERNET.SIZE;
    writeArp(memory, at, operation, link.macAddress, senderIp.d, targetMac, targetIp.d);
    link.device.transmit(scratch, at + ARP.SIZE - scratch, 0, 0, 0, 0);
  }

  /** Sends the message that stands behind the headers in the scratch. */
  function sendIcmpv6(link: Link, mac: Uint8Array, source: IpAddress, destination: IpAddress, end: number): void {
    const ip = scratch + VNET.SIZE + ETHERNET.SIZE;
    const at = ip + IPV6.SIZE;
    writePlainVnet(view, scratch);
    writeEthernet(memory, scratch + VNET.SIZE, mac, link.macAddress, ETHERTYPE_IPV6);
    writeIpv6(view, ip, end - at, PROTOCOL_ICMPV6, source, destination, HOP_LIMIT);
    finishIcmp(view, at, end, sumPseudoHeader(source, destination, PROTOCOL_ICMPV6, end - at));
    link.device.transmit(scratch, end - scratch, 0, 0, 0, 0);
  }

  function onArp(link: Link, frame: Frame, nowMs: number): void {
    const own = link.addresses.ipv4;
    const at = frame.start + ETHERNET.SIZE;
    if (own === undefined) return;
    if (checkArp(memory, at, frame.end) !== undefined) {
      counters.malformed++;
      return;
    }
    for (let i = 0; i < 6; i++) senderMac[i] = bytes[at + ARP.senderMac + i]!;
    readAddress4(view, at + ARP.senderIp, sender);
    readAddress4(view, at + ARP.targetIp, target);
    const isProbe = sender.d === 0;
    if (!isMac(bytes, frame.start + ETHERNET.source, senderMac) || !(isProbe || isOther(own, sender))) {
      counters.unexpected++;
      return;
    }
    const isRequest = view.getUint16(at + ARP.operation) === ARP_REQUEST;
    if (!isRequest) {
      if (!isProbe) learn(link.index, sender, senderMac, true, nowMs);
      return;
    }
    if (!isOwn(own, target)) return;
    if (!isProbe) learn(link.index, sender, senderMac, false, nowMs);
    sendArp(link, ARP_REPLY, senderMac, target, senderMac, sender);
  }

  function onNdp(link: Link, own: LinkAddress, frame: Frame, nowMs: number): void {
    const isRouterSolicitation = icmp.type === ICMPV6_ROUTER_SOLICITATION;
    if (checkNdp(memory, frame, isRouterSolicitation) !== undefined) {
      counters.malformed++;
      return;
    }
    const hasMac = copyNdpMac(memory, frame, isRouterSolicitation, senderMac);
    const isProbe = sameAddress(frame.source, UNSPECIFIED);
    const isHonest = isProbe || isOther(own, frame.source) || frame.source.a >>> 22 === 0x3fa;
    if (!isHonest || (hasMac && !isMac(bytes, frame.start + ETHERNET.source, senderMac))) {
      counters.unexpected++;
      return;
    }
    if (isRouterSolicitation) {
      if (hasMac && !isProbe) learn(link.index, frame.source, senderMac, false, nowMs);
      advertise(link);
      return;
    }
    readAddress6(view, frame.transport + NEIGHBOUR.target, target);
    if (icmp.type === ICMPV6_NEIGHBOUR_ADVERTISEMENT) {
      if (hasMac && (isOther(own, target) || target.a >>> 22 === 0x3fa)) {
        learn(link.index, target, senderMac, true, nowMs);
      }
      return;
    }
    if (icmp.type !== ICMPV6_NEIGHBOUR_SOLICITATION || !isOwn(own, target)) return;
    if (hasMac && !isProbe) learn(link.index, frame.source, senderMac, false, nowMs);
    const at = scratch + VNET.SIZE + ETHERNET.SIZE + IPV6.SIZE;
    const flags = NA_ROUTER | NA_OVERRIDE | (isProbe ? 0 : NA_SOLICITED);
    const end = writeNeighbour(memory, at, ICMPV6_NEIGHBOUR_ADVERTISEMENT, flags, target, link.macAddress);
    for (let i = 0; i < 6; i++) senderMac[i] = bytes[frame.start + ETHERNET.source + i]!;
    if (isProbe) sendIcmpv6(link, multicastMac(ALL_NODES), target, ALL_NODES, end);
    else sendIcmpv6(link, senderMac, target, frame.source, end);
  }

  /** Tells all of a link who its router is, and in which prefix they may make addresses. */
  function advertise(link: Link): void {
    const own = link.addresses.ipv6;
    // addresses are made in prefixes of 64 bits (RFC 4862 §5.5.3)
    if (!link.givesAddresses || own?.linkLocal === undefined || own.subnet.length !== 64) return;
    const at = scratch + VNET.SIZE + ETHERNET.SIZE + IPV6.SIZE;
    const end = writeRouterAdvertisement(memory, at, {
      mac: link.macAddress,
      mtu: link.mtu,
      lifetimeSeconds: link.reach.isInternal ? 0 : ROUTER_LIFETIME_SECONDS,
      prefix: { ...own.subnet.base, c: 0, d: 0 },
      dns: [own.address],
    });
    sendIcmpv6(link, multicastMac(ALL_NODES), own.linkLocal, ALL_NODES, end);
  }

  return {
    counters,
    get evictedCount() {
      return entries.evictedCount;
    },
    onFrame(frame, nowMs) {
      const link = surroundings.links[frame.link];
      if (link === undefined) return;
      if (frame.etherType === ETHERTYPE_ARP) {
        onArp(link, frame, nowMs);
        return;
      }
      const own = link.addresses.ipv6;
      if (own === undefined) return;
      if (readIcmp(view, frame, icmp) !== undefined) counters.malformed++;
      else onNdp(link, own, frame, nowMs);
    },
    onHostEvent() {},
    nextTimerMs() {
      const isAdvertising = surroundings.links.some((link) =>
        link?.givesAddresses && link.addresses.ipv6 !== undefined
      );
      return isAdvertising ? advertiseMs + ADVERTISE_EVERY_MS : Infinity;
    },
    onTimer(nowMs) {
      if (nowMs < advertiseMs + ADVERTISE_EVERY_MS) return;
      advertiseMs = nowMs;
      for (const link of surroundings.links) if (link !== undefined) advertise(link);
    },
    writeMac(index, _family: Family, address, offset, nowMs) {
      const link = surroundings.links[index];
      if (link === undefined) return false;
      const neighbour = entries.findOrAdd(index, address);
      if (!neighbour.isFixed) {
        // asked and not answered: whoever had the address is gone
        if (nowMs - neighbour.owesSinceMs > ANSWER_MS) neighbour.isKnown = false;
        if (!neighbour.isKnown || nowMs - neighbour.heardMs > FRESH_MS) ask(link, neighbour, nowMs);
      }
      if (!neighbour.isKnown) return false;
      for (let i = 0; i < 6; i++) bytes[offset + i] = neighbour.mac[i]!;
      return true;
    },
    hold(index, address, at, length) {
      const neighbour = entries.find(index, address);
      if (neighbour === undefined || !held.hold(neighbour, at, length)) return false;
      counters.heldFrames++;
      return true;
    },
    setStations(link, stations) {
      const isThere = (address: IpAddress) => stations.some((station) => sameAddress(station.address, address));
      entries.dropWhere(link, ({ isFixed, address }) => isFixed && !isThere(address));
      if (stations.length === 0) closedLinks.delete(link);
      else closedLinks.add(link);
      for (const station of stations) fix(link, station);
    },
    isHonest(frame) {
      const { link, source } = frame;
      if (!closedLinks.has(link)) return true;
      // who has no address yet, and link-local ones, which lead to the gateway alone
      if (source.a === 0 && source.b === 0 && source.d === 0) return true;
      if (frame.family === 6 && source.a >>> 22 === 0x3fa) return true;
      const neighbour = entries.find(link, source);
      return neighbour !== undefined && neighbour.isFixed &&
        isMac(bytes, frame.start + ETHERNET.source, neighbour.mac);
    },
    forget(link, address) {
      entries.dropWhere(link, (neighbour) => address === undefined || sameAddress(neighbour.address, address));
      if (address === undefined) closedLinks.delete(link);
    },
  };
}

/** Whether an address of the link's network is somebody else's than the stack's. */
function isOther(own: LinkAddress, address: IpAddress): boolean {
  return isInPrefix(address, own.subnet) && !isOwn(own, address);
}

/** Whether the stack answers for an address. */
function isOwn(own: LinkAddress, address: IpAddress): boolean {
  return sameAddress(address, own.address) || (own.linkLocal !== undefined && sameAddress(address, own.linkLocal)) ||
    (own.hostLoopback !== undefined && sameAddress(address, own.hostLoopback));
}
