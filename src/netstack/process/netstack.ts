/**
 * The stack with everything that belongs to it, on sockets of the kernel: made from a configuration, changed by what the control
 * socket says.
 *
 * @module
 */
import { backend } from "#ffi/mod.ts";
import { type Fd, numberOf } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { makeSocketPair, SOCK_NONBLOCK } from "#linux/socket.ts";
import { randomBytes } from "#linux/random.ts";
import type { LinkConfig, StackConfig } from "../config.ts";
import { isFrameSourceAllowed } from "../destination.ts";
import type { Device } from "../device/device.ts";
import { traceDevice, type Tracer } from "../device/pcap.ts";
import { makeTap } from "../device/tap.ts";
import { type Egress, makeEgress } from "../egress.ts";
import { makeDatagramSockets } from "../host/datagram_sockets.ts";
import { mapMemory, releasePages } from "../host/kernel_memory.ts";
import { makePoller, type Poller, TAP_WATCHER } from "../host/poller.ts";
import { followResolvConf } from "../host/resolv_conf_file.ts";
import { planMemory, type StackMemory } from "../host/stack_memory.ts";
import { makeKernelStreams } from "../host/stream_sockets.ts";
import { trimBlocks } from "../blocks.ts";
import { type LinkAddresses, linkAddressesOf, parseMac, reachOf, subnetsOf } from "../link_addresses.ts";
import type { Memory } from "../memory.ts";
import type { Link, Surroundings } from "../protocol.ts";
import { type DatagramProtocols, makeDatagramProtocols } from "../socket/datagram_protocols.ts";
import type { Dns } from "../socket/dns/dns.ts";
import type { Echo } from "../socket/echo.ts";
import type { NeighbourTable } from "../socket/neighbours.ts";
import { makeTcp, type TcpProtocol } from "../socket/tcp/tcp.ts";
import type { Udp } from "../socket/udp.ts";
import { makeStack, type Stack } from "../stack.ts";
import { PROTOCOL_UDP } from "../wire/ip.ts";
import { notePolicy } from "./dns_notes.ts";
import { limitsOf } from "./limits.ts";
import { unpublishPorts } from "./published_ports.ts";
import { makeTcpPolicy } from "./tcp_policy.ts";
import { makeWatchedContainers, type WatchedContainers } from "./watched_containers.ts";

/** Indexes of protocols in events. */
const TCP_INDEX = 0;
const UDP_INDEX = 1;
const ECHO_INDEX = 2;
const DNS_INDEX = 3;
// neighbours have timers alone, behind all that are watched

/** How much memory that is free stays resident. */
const KEEP_BYTES = 4 << 20;

/** A link, and what only the process knows of it. */
export interface OpenLink {
  readonly id: string;
  readonly fd: Fd;
  readonly config: LinkConfig;
  readonly addresses: LinkAddresses;
  /** Who sees its frames. */
  readonly tracers: Set<Tracer>;
}

export interface Netstack {
  readonly stack: Stack;
  readonly memory: Memory;
  readonly places: StackMemory;
  readonly poller: Poller;
  readonly tcp: TcpProtocol;
  readonly udp: Udp;
  readonly echo: Echo;
  readonly dns: Dns;
  readonly neighbours: NeighbourTable;
  readonly datagrams: DatagramProtocols;
  readonly egress: Egress;
  readonly watched: WatchedContainers;
  /** By index. */
  readonly open: (OpenLink | undefined)[];
  readonly wrapDevice: (device: Device) => Device;
  /** See all links' frames (`--pcap`). */
  readonly tracers: Set<Tracer>;
}

/** The wall clock, for what people read. */
export function wallClockMs(): number {
  return Date.now();
}

/** @param wrapDevice What stands between the stack and its taps: for tests, which have frames lost. */
export function makeNetstack(
  config: StackConfig,
  onError: (error: unknown) => void,
  wrapDevice: (device: Device) => Device = (device) => device,
): Netstack {
  const memory = mapMemory(config.memoryBytes);
  const places = planMemory(config.memoryBytes);
  const poller = makePoller(memory, places.poller);
  const streams = makeKernelStreams(memory, places.streams);
  const links: (Link | undefined)[] = [];
  const egress = makeEgress();
  const limits = limitsOf();
  const base = { memory, links, events: poller, random: makeRandom() };
  const datagrams = makeDatagramProtocols(base, {
    base: places.datagrams,
    indices: { udp: UDP_INDEX, echo: ECHO_INDEX, dns: DNS_INDEX },
    datagrams: makeDatagramSockets(memory),
    streams,
    makePair: () => tryMakePair(),
    resolvConf: followResolvConf(config.resolvConf),
    bounds: limits.flows,
    permits(link, source, destination, port) {
      const isAllowed = egress.permits(link, source, destination, port);
      const verdict = isAllowed ? "allowed" : "denied";
      egress.note("udp", link, source, destination, port, verdict, wallClockMs());
      return isAllowed;
    },
    onAnswer: (link, source, question, answer) => notePolicy(egress, link, source, question, answer, wallClockMs()),
  });
  const { neighbours, udp, echo, dns, icmp, reassembly } = datagrams;
  const around: Surroundings = { ...base, neighbours };
  const tcp = makeTcp({
    around,
    sockets: streams,
    policy: makeTcpPolicy(links, egress, (link, source, nowMs) => dns.openStream(link, source, nowMs)),
    limits: limits.tcp,
    blocks: places.blocks,
    protocol: TCP_INDEX,
    headers: places.tcp,
  });
  const stack = makeStack({
    memory,
    links,
    receiveAt: places.receive,
    protocols: [tcp, udp, echo, dns, neighbours],
    handlers: { tcp, udp, icmp, arp: neighbours },
    addFragment: (frame, nowMs) => reassembly.add(frame, nowMs),
    isSourceAllowed(frame) {
      const { link, source, destination, protocol } = frame;
      return isFrameSourceAllowed(links[link]!.reach, source, destination, protocol === PROTOCOL_UDP) &&
        neighbours.isHonest(frame);
    },
    onError,
  });
  return {
    stack,
    memory,
    places,
    poller,
    tcp,
    udp,
    echo,
    dns,
    neighbours,
    datagrams,
    egress,
    watched: makeWatchedContainers(),
    open: [],
    wrapDevice,
    tracers: new Set(),
  };
}

/** Random words, 256 at a time from the kernel. */
function makeRandom(): () => number {
  let words = new Uint32Array(0);
  let next = 0;
  return () => {
    if (next === words.length) {
      words = new Uint32Array(randomBytes(1024).slice().buffer);
      next = 0;
    }
    return words[next++]!;
  };
}

function tryMakePair(): readonly [Fd, Fd] | undefined {
  try {
    return makeSocketPair(SOCK_NONBLOCK);
  } catch {
    return undefined;
  }
}

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** Takes a tap, which is this process's from then on. */
export function addLink(netstack: Netstack, fd: Fd, config: LinkConfig): void {
  const { stack, memory, places, open, poller, tracers } = netstack;
  if (open.some((link) => link?.id === config.id)) throw new Error(`The network "${config.id}" is there already`);
  const free = open.indexOf(undefined);
  const index = free === -1 ? open.length : free;
  const { syscall } = backend();
  const fcntl = numberOf("fcntl");
  syscall(fcntl, fd, F_SETFL, syscall(fcntl, fd, F_GETFL) | O_NONBLOCK);
  const addresses = linkAddressesOf(config);
  const own = new Set<Tracer>();
  const micros = () => wallClockMs() * 1000;
  const tap = netstack.wrapDevice(makeTap(fd, memory, places.tap));
  stack.links[index] = {
    index,
    device: traceDevice(traceDevice(tap, memory, own, micros), memory, tracers, micros),
    mtu: config.mtu,
    macAddress: parseMac(config.macAddress),
    addresses,
    reach: reachOf(addresses, config.internal, []),
    givesAddresses: config.dhcp,
  };
  open[index] = { id: config.id, fd, config, addresses, tracers: own };
  remakeReach(netstack);
  poller.watchInput(fd, TAP_WATCHER, index);
}

/** Ends a link: its connections, its names, its tap. */
export function removeLink(netstack: Netstack, index: number): void {
  const link = netstack.open[index];
  if (link === undefined) return;
  // ports of a network that is gone would lead into the next one that has its place
  unpublishPorts(netstack, (one) => one.link === index);
  netstack.tcp.resetAll(index);
  netstack.datagrams.forget(index);
  netstack.egress.forget(index);
  netstack.watched.names.delete(index);
  netstack.poller.unwatch(link.fd);
  close(link.fd);
  netstack.open[index] = undefined;
  netstack.stack.links[index] = undefined;
  remakeReach(netstack);
}

/** Networks do not reach each other: what each may reach depends on all. */
function remakeReach({ stack, open }: Netstack): void {
  const networks = open.flatMap((link) => link === undefined ? [] : subnetsOf(link.addresses));
  for (const [index, one] of open.entries()) {
    const link = stack.links[index];
    if (one === undefined || link === undefined) continue;
    stack.links[index] = { ...link, reach: reachOf(one.addresses, one.config.internal, networks) };
  }
}

/** Gives memory that has not been used for a while back to the kernel. */
export function trimMemory({ memory, places }: Netstack): void {
  trimBlocks(places.blocks, KEEP_BYTES, (offset, sizeBytes) => releasePages(memory, offset, sizeBytes));
}
