import test from "node:test";
import assert from "node:assert/strict";
import { EAGAIN } from "#linux/errno_values.ts";
import { makeFrame } from "../frame.ts";
import { HOST_FAILED, HOST_READABLE } from "../host_events.ts";
import { isFrameSourceAllowed } from "../destination.ts";
import { makeQuery, TYPE_A } from "../wire/dns.ts";
import { ETHERNET, ETHERTYPE_ARP } from "../wire/ethernet.ts";
import { PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_UDP } from "../wire/ip.ts";
import { readFrame } from "../wire/read_frame.ts";
import { makeRandom } from "../wire/testing.ts";
import { VNET } from "../wire/vnet.ts";
import { DATAGRAM_SPACE_BYTES, makeDatagramProtocols } from "./datagram_protocols.ts";
import { parseResolvConf } from "./dns/resolv_conf.ts";
import type { StreamSockets } from "./stream_sockets.ts";
import { icmpFrame, ip, makeTestHost, makeTestStack, seeFrame, text, udpFrame } from "./testing.ts";

const NO_STREAMS: StreamSockets = {
  open: () => -24,
  connect: () => -24,
  failureOf: () => 0,
  listen: () => -24,
  accept: () => -EAGAIN,
  receive: () => -EAGAIN,
  send: () => -EAGAIN,
  endSending() {},
  keepAlive() {},
  close() {},
  reset() {},
};

function setUp() {
  const stack = makeTestStack();
  const { memory, surroundings, link } = stack;
  const host = makeTestHost(memory);
  const bounds = { flows: 256, flowsPerContainer: 64 };
  const all = makeDatagramProtocols(surroundings, {
    base: stack.reserve(DATAGRAM_SPACE_BYTES),
    indices: { echo: 0, udp: 1, dns: 2 },
    datagrams: host.sockets,
    streams: NO_STREAMS,
    makePair: () => undefined,
    resolvConf: () => parseResolvConf("nameserver 192.0.2.53"),
    bounds,
    permits: () => true,
  });
  const protocols = [all.echo, all.udp, all.dns];
  const frame = makeFrame();
  /** As the loop does: a frame that lies at 0. */
  const take = (end: number, nowMs: number): void => {
    if (readFrame(memory, 0, end, frame) !== undefined) return;
    if (frame.etherType === ETHERTYPE_ARP) {
      all.neighbours.onFrame(frame, nowMs);
      return;
    }
    if (frame.network !== frame.start + ETHERNET.SIZE) return;
    if (frame.isFragment && all.reassembly.add(frame, nowMs) !== "whole") return;
    const isUdp = frame.protocol === PROTOCOL_UDP;
    if (!isFrameSourceAllowed(link.reach, frame.source, frame.destination, isUdp)) return;
    if (isUdp) all.udp.onFrame(frame, nowMs);
    else if (frame.protocol === PROTOCOL_ICMP || frame.protocol === PROTOCOL_ICMPV6) all.icmp.onFrame(frame, nowMs);
  };
  return { stack, host, all, protocols, take, bounds };
}

type Put = (memory: ReturnType<typeof makeTestStack>["memory"], random: () => number) => number;

const QUERY = makeQuery(1, { name: "a.example", type: TYPE_A, class: 1 }, false)!;

/** Frames of a container, good ones; each returns its end. */
const GOOD: readonly Put[] = [
  (memory, random) =>
    udpFrame(memory, "10.88.0.2", 1 + random() % 99, "192.0.2.7", 1 + random() % 99, text("hello")).end,
  (memory, random) => udpFrame(memory, "fd00:88::2", 1 + random() % 99, "2001:db8::7", 53, text("hello")).end,
  (memory, random) => udpFrame(memory, "10.88.0.2", 1 + random() % 99, "10.88.0.1", 53, QUERY).end,
  (memory) => udpFrame(memory, "0.0.0.0", 68, "255.255.255.255", 67, new Uint8Array(260)).end,
  (memory, random) => icmpFrame(memory, "10.88.0.2", "192.0.2.7", 8, 0, random(), text("ping")).end,
  (memory, random) => icmpFrame(memory, "fd00:88::2", "fd00:88::1", 128, 0, random(), text("ping")).end,
  (memory) => icmpFrame(memory, "fe80::2", "ff02::1:ff00:1", 135, 0, 0, new Uint8Array(24), 255).end,
  (memory) => icmpFrame(memory, "fe80::2", "ff02::2", 133, 0, 0, new Uint8Array(8), 255).end,
];

test("A-059 a storm of broken frames, answers and errors ends nothing, and holds no more than its bounds", () => {
  const { stack, host, all, protocols, take, bounds } = setUp();
  const random = makeRandom(0x570a3);
  const rounds = 50_000;
  let replies = 0;
  let most = 0;
  for (let round = 0; round < rounds; round++) {
    const nowMs = round / 10;
    const end = GOOD[random() % GOOD.length]!(stack.memory, random);
    for (let flips = random() % 3; flips > 0; flips--) {
      stack.memory.bytes[VNET.SIZE + random() % (end - VNET.SIZE)] = random() & 255;
    }
    // half of all broken frames say that their checksum is good
    if ((random() & 1) === 0) stack.memory.bytes[0] = 2;
    take(random() % 8 === 0 ? random() % end : end, nowMs);
    if (random() % 4 === 0) {
      const sockets = [...host.open.values()];
      const socket = sockets[random() % Math.max(sockets.length, 1)];
      const watched = socket === undefined ? undefined : stack.watched.get(socket.fd);
      if (socket !== undefined && watched !== undefined) {
        const data = Uint8Array.from({ length: random() % 64 }, () => random() & 255);
        const isFailure = random() % 3 === 0;
        const offender = ip(["198.51.100.9", "2001:db8::9"][random() & 1]!);
        if (isFailure) socket.failures.push({ type: random() & 15, code: random() & 15, offender, quoted: data });
        else socket.inbox.push({ data, from: "192.0.2.7", port: 1, local: "192.0.2.1" });
        protocols[watched.protocol]?.onHostEvent(watched.key, isFailure ? HOST_FAILED : HOST_READABLE, nowMs);
      }
    }
    if (random() % 50 === 0) {
      for (const protocol of [...protocols, all.neighbours]) {
        protocol.onTimer(nowMs);
        protocol.onTurnEnd?.(nowMs);
      }
    }
    most = Math.max(most, host.open.size);
    for (const frame of stack.takeFrames()) {
      seeFrame(frame);
      replies++;
    }
  }
  console.log(`frames: ${rounds}, replies: ${replies}, sockets at most: ${most}`);
  assert.ok(most <= bounds.flows + bounds.flows / 4 + 512);
  // all of it ends
  for (const protocol of protocols) for (let i = 0; i < 20; i++) protocol.onTimer(1e9 + i * 1e4);
  assert.equal(host.open.size, 0);
  stack.takeFrames();
  take(icmpFrame(stack.memory, "10.88.0.2", "10.88.0.1", 8, 0, 1, text("still there")).end, 2e9);
  assert.deepEqual(stack.takeFrames().map(seeFrame).map(({ type }) => type), [0]);
});

test("A-058 no reply to a cut or lying frame holds bytes that another has left", () => {
  const { stack, take } = setUp();
  const { bytes } = stack.memory;
  const MARKER = 0xa7;
  let replies = 0;
  for (const put of GOOD) {
    const whole = put(stack.memory, makeRandom(1));
    for (let end = 0; end <= whole; end++) {
      bytes.fill(MARKER, 0, 4096);
      put(stack.memory, makeRandom(1));
      bytes.fill(MARKER, end, 4096);
      // as if the checksum had been checked, and as if IPv6 were as long as what came
      bytes[0] = 2;
      if (end % 2 === 0 && bytes[22] === 0x86 && end > 64) stack.memory.view.setUint16(28, end - 64);
      take(end, end * 1000);
      for (const frame of stack.takeFrames()) {
        replies++;
        let run = 0;
        for (const byte of frame) {
          run = byte === MARKER ? run + 1 : 0;
          assert.ok(run < 4, `a reply to ${end} of ${whole} bytes holds the marker`);
        }
      }
    }
  }
  console.log(`replies looked at: ${replies}`);
  assert.ok(replies > 0);
});
