/**
 * For tests of datagram protocols: a stack's surroundings with one link whose frames are kept, containers' frames made from
 * text, and a host whose datagram sockets are lists.
 *
 * @module
 */
import { EAGAIN } from "#linux/errno_values.ts";
import { type Frame, makeFrame } from "../frame.ts";
import { formatIpAddress, type IpAddress, isIpv4, parseIpAddress, parsePrefix } from "../ip_address.ts";
import { type LinkAddresses, linkLocalOf, reachOf, subnetsOf } from "../link_addresses.ts";
import { makeTestMemory, type Memory } from "../memory.ts";
import type { Link, Surroundings } from "../protocol.ts";
import { ETHERNET, ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "../wire/ethernet.ts";
import { finishIcmp, writeIcmp } from "../wire/icmp.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_UDP, sumPseudoHeader } from "../wire/ip.ts";
import { writeIpv4 } from "../wire/ipv4.ts";
import { writeIpv6 } from "../wire/ipv6.ts";
import { readFrame } from "../wire/read_frame.ts";
import { makeRandom } from "../wire/testing.ts";
import { makeUdpHeader, readUdp, UDP, writeUdp } from "../wire/udp.ts";
import { finishChecksum, VNET, writePlainVnet } from "../wire/vnet.ts";
import type { DatagramError, DatagramKind, DatagramSockets } from "./datagram_sockets.ts";

export const GATEWAY_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const CONTAINER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

/** An address that the test knows to be one. */
export function ip(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new Error(`No address: ${text}`);
  return address;
}

/** Memory with room for handlers, and for frames of containers at its beginning. */
export interface TestStack {
  readonly memory: Memory;
  readonly surroundings: Surroundings;
  readonly link: Link;
  /** Frames that went to containers since they were taken last, checksums finished. */
  takeFrames(): Uint8Array[];
  /** Reserves memory for a handler. */
  reserve(sizeBytes: number): number;
  /** Whether addresses answer; if not, frames are held. */
  knowsNeighbours: boolean;
  /** Who watches which descriptor. */
  readonly watched: Map<number, { protocol: number; key: number }>;
}

export interface TestLinkOptions {
  mtu?: number;
  isInternal?: boolean;
  hostLoopback?: boolean;
  hasIpv6?: boolean;
}

/** The link's addresses in all tests: 10.88.0.1/16 and fd00:88::1/64; 10.88.255.254 may lead to the host's loopback. */
function testAddresses({ hostLoopback = false, hasIpv6 = true }: TestLinkOptions): LinkAddresses {
  return {
    ipv4: {
      address: ip("10.88.0.1"),
      subnet: parsePrefix("10.88.0.0/16")!,
      linkLocal: undefined,
      hostLoopback: hostLoopback ? ip("10.88.255.254") : undefined,
    },
    ipv6: hasIpv6
      ? {
        address: ip("fd00:88::1"),
        subnet: parsePrefix("fd00:88::/64")!,
        linkLocal: linkLocalOf(GATEWAY_MAC),
        hostLoopback: undefined,
      }
      : undefined,
  };
}

const FRAME_ROOM = 1 << 17;

export function makeTestStack(options: TestLinkOptions = {}): TestStack {
  const memory = makeTestMemory(8 << 20);
  const addresses = testAddresses(options);
  let frames: Uint8Array[] = [];
  let next = FRAME_ROOM;
  const link: Link = {
    index: 0,
    mtu: options.mtu ?? 65_520,
    macAddress: GATEWAY_MAC,
    addresses,
    reach: reachOf(addresses, options.isInternal ?? false, [...subnetsOf(addresses), parsePrefix("10.89.0.0/16")!]),
    givesAddresses: true,
    device: {
      receive: () => -EAGAIN,
      transmit(headers, headersLength, payload, payloadLength, rest, restLength) {
        const frame = new Uint8Array(headersLength + payloadLength + restLength);
        frame.set(memory.bytes.subarray(headers, headers + headersLength));
        frame.set(memory.bytes.subarray(payload, payload + payloadLength), headersLength);
        frame.set(memory.bytes.subarray(rest, rest + restLength), headersLength + payloadLength);
        finishChecksum(new DataView(frame.buffer), 0, frame.length);
        frames.push(frame);
        return frame.length;
      },
    },
  };
  const watched = new Map<number, { protocol: number; key: number }>();
  const stack: TestStack = {
    memory,
    link,
    watched,
    knowsNeighbours: true,
    reserve(sizeBytes) {
      const at = next;
      next += (sizeBytes + 7) & ~7;
      if (next > memory.bytes.length) throw new Error("The test's memory is too small");
      return at;
    },
    takeFrames() {
      const taken = frames;
      frames = [];
      return taken;
    },
    surroundings: {
      memory,
      links: [link],
      events: { watch: (fd, protocol, key) => watched.set(fd, { protocol, key }) },
      random: makeRandom(0x7e57),
      neighbours: {
        writeMac(_link, _family, _address, offset) {
          if (stack.knowsNeighbours) memory.bytes.set(CONTAINER_MAC, offset);
          return stack.knowsNeighbours;
        },
        hold: () => true,
      },
    },
  };
  return stack;
}

/** Puts a container's frame at 0 of the memory and reads it, as the loop does. */
export function putFrame(memory: Memory, end: number): Frame {
  const frame = makeFrame();
  const fault = readFrame(memory, 0, end, frame);
  if (fault !== undefined) throw new Error(`The test's frame is ${fault}`);
  return frame;
}

const IP_AT = VNET.SIZE + ETHERNET.SIZE;

function writeHeaders(
  memory: Memory,
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  length: number,
  hopLimit: number,
): number {
  const isV4 = isIpv4(source);
  writePlainVnet(memory.view, 0);
  writeEthernet(memory, VNET.SIZE, GATEWAY_MAC, CONTAINER_MAC, isV4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  if (isV4) writeIpv4(memory.view, IP_AT, 20 + length, protocol, source, destination, hopLimit);
  else writeIpv6(memory.view, IP_AT, length, protocol, source, destination, hopLimit);
  return IP_AT + (isV4 ? 20 : 40);
}

/** A container's UDP datagram. */
export function udpFrame(
  memory: Memory,
  source: string,
  sourcePort: number,
  destination: string,
  destinationPort: number,
  payload: Uint8Array,
  hopLimit = 64,
): Frame {
  const from = ip(source);
  const to = ip(destination);
  const length = UDP.SIZE + payload.length;
  const at = writeHeaders(memory, from, to, PROTOCOL_UDP, length, hopLimit);
  memory.bytes.set(payload, at + UDP.SIZE);
  const pseudo = sumPseudoHeader(from, to, PROTOCOL_UDP, length);
  writeUdp(memory.view, at, sourcePort, destinationPort, length, pseudo, false);
  return putFrame(memory, at + length);
}

/** A container's ICMP message of either family. */
export function icmpFrame(
  memory: Memory,
  source: string,
  destination: string,
  type: number,
  code: number,
  rest: number,
  payload: Uint8Array,
  hopLimit = 64,
): Frame {
  const from = ip(source);
  const to = ip(destination);
  const protocol = isIpv4(from) ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
  const length = 8 + payload.length;
  const at = writeHeaders(memory, from, to, protocol, length, hopLimit);
  writeIcmp(memory.view, at, type, code, rest);
  memory.bytes.set(payload, at + 8);
  finishIcmp(memory.view, at, at + length, protocol === 1 ? 0 : sumPseudoHeader(from, to, protocol, length));
  return putFrame(memory, at + length);
}

/** What a frame to a container says, in short; an ICMP message's `data` begin behind its eight bytes. */
export interface SeenFrame {
  kind: "arp" | "udp" | "icmp" | "fragment" | "other";
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  /** ICMP: type, code, and the 32 bits behind the checksum. */
  type: number;
  code: number;
  rest: number;
  data: Uint8Array;
}

/** Reads a frame that the stack has sent, checksums and all. */
export function seeFrame(bytes: Uint8Array): SeenFrame {
  const memory: Memory = { bytes: new Uint8Array(bytes), view: new DataView(new Uint8Array(bytes).buffer), address: 0 };
  const frame = makeFrame();
  const fault = readFrame(memory, 0, bytes.length, frame);
  if (fault !== undefined) throw new Error(`The stack has sent a frame that is ${fault}`);
  const seen: SeenFrame = {
    kind: "other",
    source: "",
    destination: "",
    sourcePort: 0,
    destinationPort: 0,
    type: 0,
    code: 0,
    rest: 0,
    data: bytes.slice(frame.start + ETHERNET.SIZE),
  };
  if (frame.etherType === ETHERTYPE_ARP) return { ...seen, kind: "arp" };
  seen.source = formatIpAddress(frame.source);
  seen.destination = formatIpAddress(frame.destination);
  seen.data = bytes.slice(frame.transport, frame.end);
  if (frame.isFragment) return { ...seen, kind: "fragment" };
  if (frame.protocol === PROTOCOL_UDP) {
    const udp = makeUdpHeader();
    const wrong = readUdp(memory.view, frame, false, udp);
    if (wrong !== undefined) throw new Error(`The stack has sent UDP that is ${wrong}`);
    const data = bytes.slice(udp.payload, udp.end);
    return { ...seen, kind: "udp", sourcePort: udp.sourcePort, destinationPort: udp.destinationPort, data };
  }
  if (frame.protocol !== PROTOCOL_ICMP && frame.protocol !== PROTOCOL_ICMPV6) return seen;
  const at = frame.transport;
  const rest = memory.view.getUint32(at + 4);
  return { ...seen, kind: "icmp", type: bytes[at]!, code: bytes[at + 1]!, rest, data: bytes.slice(at + 8, frame.end) };
}

/** A socket of the made-up host. */
export interface TestSocket {
  readonly fd: number;
  readonly kind: DatagramKind | "listener";
  address: string;
  port: number;
  hopLimit: number;
  readonly sent: { data: Uint8Array; to: string; local: string }[];
  readonly inbox: { data: Uint8Array; from: string; port: number; local: string }[];
  readonly failures: (Partial<DatagramError> & { quoted: Uint8Array })[];
  /** What the next send answers, once. */
  sendResult: number;
}

export interface TestHost {
  readonly sockets: DatagramSockets;
  readonly open: Map<number, TestSocket>;
  /** What open, connect and listen answer in place of success. */
  failure: { open?: number; connect?: number; listen?: number };
  opened: number;
}

/** Sockets of a host as lists: a test fills `inbox`, and reads `sent`. */
export function makeTestHost(memory: Memory): TestHost {
  const open = new Map<number, TestSocket>();
  const find = (fd: number): TestSocket => {
    const socket = open.get(fd);
    if (socket === undefined) throw new Error(`Descriptor ${fd} is used after it was closed`);
    return socket;
  };
  const add = (kind: TestSocket["kind"]): TestSocket => {
    const fd = 100 + host.opened++;
    const socket: TestSocket = {
      fd,
      kind,
      address: "",
      port: 0,
      hopLimit: 0,
      sent: [],
      inbox: [],
      failures: [],
      sendResult: 0,
    };
    open.set(fd, socket);
    return socket;
  };
  const take = (offset: number, length: number) => memory.bytes.slice(offset, offset + length);
  const host: TestHost = {
    open,
    failure: {},
    opened: 0,
    sockets: {
      open: (kind) => host.failure.open ?? add(kind).fd,
      connect(fd, address, port) {
        const socket = find(fd);
        socket.address = formatIpAddress(address);
        socket.port = port;
        return host.failure.connect ?? 0;
      },
      listen(_family, address, port) {
        if (host.failure.listen !== undefined) return host.failure.listen;
        const socket = add("listener");
        socket.address = formatIpAddress(address);
        socket.port = port;
        return socket.fd;
      },
      receive(fd, offset, room, origin) {
        const socket = find(fd);
        const next = socket.inbox.shift();
        if (next === undefined) return -EAGAIN;
        memory.bytes.set(next.data.subarray(0, room), offset);
        if (origin !== undefined) {
          Object.assign(origin.address, ip(next.from));
          origin.port = next.port;
          Object.assign(origin.local, ip(next.local));
        }
        return Math.min(next.data.length, room);
      },
      send(fd, offset, length) {
        const socket = find(fd);
        const result = socket.sendResult;
        socket.sendResult = 0;
        if (result < 0) return result;
        socket.sent.push({ data: take(offset, length), to: `${socket.address} ${socket.port}`, local: "" });
        return length;
      },
      answer(fd, offset, length, local, address, port) {
        find(fd).sent.push({
          data: take(offset, length),
          to: `${formatIpAddress(address)} ${port}`,
          local: formatIpAddress(local),
        });
        return length;
      },
      setHopLimit(fd, _family, hopLimit) {
        find(fd).hopLimit = hopLimit;
        return 0;
      },
      takeError(fd, offset, room, into) {
        const failure = find(fd).failures.shift();
        if (failure === undefined) return false;
        Object.assign(into, { type: -1, code: 0, mtu: 0, errno: 0 }, failure);
        memory.bytes.set(failure.quoted.subarray(0, room), offset);
        into.length = Math.min(failure.quoted.length, room);
        return true;
      },
      close(fd) {
        find(fd);
        open.delete(fd);
      },
    },
  };
  return host;
}

/** Text as bytes. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
