import test from "node:test";
import assert from "node:assert/strict";
import type { IpAddress } from "../ip_address.ts";
import { makeFrame } from "../frame.ts";
import { ARP, ARP_REPLY, ARP_REQUEST, writeArp } from "../wire/arp.ts";
import { ETHERNET, ETHERTYPE_ARP, ETHERTYPE_IPV6, writeEthernet } from "../wire/ethernet.ts";
import { finishIcmp } from "../wire/icmp.ts";
import { PROTOCOL_ICMPV6, sumPseudoHeader } from "../wire/ip.ts";
import { writeIpv6 } from "../wire/ipv6.ts";
import { writeNeighbour } from "../wire/ndp.ts";
import { readFrame } from "../wire/read_frame.ts";
import { VNET, writePlainVnet } from "../wire/vnet.ts";
import { HELD_SPACE_BYTES } from "./held_frames.ts";
import { makeNeighbours, NEIGHBOUR_SCRATCH_BYTES } from "./neighbours.ts";
import {
  CONTAINER_MAC,
  GATEWAY_MAC,
  ip,
  makeTestStack,
  putFrame,
  seeFrame,
  type TestLinkOptions,
  udpFrame,
} from "./testing.ts";

const BROADCAST = new Uint8Array(6).fill(255);
const OTHER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);

function setUp(options: TestLinkOptions = {}) {
  const stack = makeTestStack(options);
  const { memory } = stack;
  const known: IpAddress[] = [];
  const table = makeNeighbours(
    stack.surroundings,
    stack.reserve(NEIGHBOUR_SCRATCH_BYTES + HELD_SPACE_BYTES),
    (_link, address) => known.push({ ...address }),
  );
  const arp = (operation: number, from: string, to: string, mac = CONTAINER_MAC, nowMs = 0, frameMac = mac) => {
    writePlainVnet(memory.view, 0);
    writeEthernet(memory, VNET.SIZE, BROADCAST, frameMac, ETHERTYPE_ARP);
    const at = VNET.SIZE + ETHERNET.SIZE;
    writeArp(memory, at, operation, mac, ip(from).d, new Uint8Array(6), ip(to).d);
    table.onFrame(putFrame(memory, at + ARP.SIZE), nowMs);
  };
  /** A message of neighbour discovery from a container. */
  const ndp = (type: number, from: string, target: string, to: string, hopLimit = 255, mac = CONTAINER_MAC) => {
    const at = VNET.SIZE + ETHERNET.SIZE + 40;
    let end = writeNeighbour(memory, at, type, 0, ip(target), mac);
    if (type === 133) {
      memory.bytes.copyWithin(at + 8, at + 24, end);
      end -= 16;
    }
    writePlainVnet(memory.view, 0);
    writeEthernet(memory, VNET.SIZE, BROADCAST, mac, ETHERTYPE_IPV6);
    writeIpv6(memory.view, VNET.SIZE + ETHERNET.SIZE, end - at, PROTOCOL_ICMPV6, ip(from), ip(to), hopLimit);
    finishIcmp(memory.view, at, end, sumPseudoHeader(ip(from), ip(to), PROTOCOL_ICMPV6, end - at));
    table.onFrame(putFrame(memory, end), 0);
  };
  const macOf = (address: string, nowMs = 0) => {
    const isKnown = table.writeMac(0, address.includes(":") ? 6 : 4, ip(address), 4000, nowMs);
    return isKnown ? memory.bytes.slice(4000, 4006) : undefined;
  };
  return { stack, table, known, arp, ndp, macOf, frames: () => stack.takeFrames() };
}

test("the gateway's address is told to whoever asks, and who asks is known from then on", () => {
  const { arp, macOf, frames } = setUp();
  arp(ARP_REQUEST, "10.88.0.2", "10.88.0.1");
  const [reply] = frames();
  const at = VNET.SIZE + ETHERNET.SIZE;
  assert.deepEqual(reply?.slice(VNET.SIZE, VNET.SIZE + 12), Uint8Array.of(...CONTAINER_MAC, ...GATEWAY_MAC));
  assert.deepEqual(reply?.slice(at + ARP.senderMac, at + ARP.targetMac), Uint8Array.of(...GATEWAY_MAC, 10, 88, 0, 1));
  assert.deepEqual(macOf("10.88.0.2"), CONTAINER_MAC);
  arp(ARP_REQUEST, "10.88.0.2", "10.88.0.77");
  arp(ARP_REQUEST, "0.0.0.0", "10.88.0.1");
  assert.equal(frames().length, 1);
});

test("A-060 who speaks for the gateway, for another station or unasked is not believed", () => {
  const { table, arp, macOf } = setUp();
  arp(ARP_REQUEST, "10.88.0.1", "10.88.0.1", OTHER_MAC);
  arp(ARP_REQUEST, "10.89.0.5", "10.88.0.1", OTHER_MAC);
  arp(ARP_REQUEST, "10.88.0.5", "10.88.0.1", OTHER_MAC, 0, CONTAINER_MAC);
  arp(ARP_REPLY, "10.88.0.6", "10.88.0.1", OTHER_MAC);
  assert.equal(table.counters.unexpected, 4);
  for (const address of ["10.88.0.1", "10.88.0.5", "10.88.0.6"]) assert.equal(macOf(address), undefined);
});

test("A-060 an address that the engine has fixed is changed by no frame", () => {
  const { table, arp, macOf } = setUp();
  table.setStations(0, [{ address: ip("10.88.0.2"), mac: CONTAINER_MAC }]);
  arp(ARP_REQUEST, "10.88.0.2", "10.88.0.1", OTHER_MAC);
  assert.deepEqual(macOf("10.88.0.2"), CONTAINER_MAC);
  table.setStations(0, []);
  assert.equal(macOf("10.88.0.2"), undefined);
});

test("A-060 where all stations are told, a frame is honest that comes from its address's own", () => {
  const { stack, table } = setUp();
  const honest = (from: string, mac = CONTAINER_MAC) => {
    const frame = udpFrame(
      stack.memory,
      from,
      1,
      from.includes(":") ? "2001:db8::1" : "192.0.2.1",
      2,
      new Uint8Array(1),
    );
    stack.memory.bytes.set(mac, frame.start + ETHERNET.source);
    return table.isHonest(frame);
  };
  assert.equal(honest("10.88.0.77", OTHER_MAC), true);
  table.setStations(0, ["10.88.0.2", "fd00:88::2"].map((address) => ({ address: ip(address), mac: CONTAINER_MAC })));
  assert.deepEqual([honest("10.88.0.2"), honest("fd00:88::2"), honest("fe80::2", OTHER_MAC)], [true, true, true]);
  assert.deepEqual([honest("10.88.0.2", OTHER_MAC), honest("10.88.0.3"), honest("fd00:88::3")], [false, false, false]);
  table.setStations(0, []);
  assert.equal(honest("10.88.0.3"), true);
});

test("an unknown address is asked for, what waits for it is sent when it answers", () => {
  const { stack, table, known, arp, macOf, frames } = setUp();
  assert.equal(macOf("10.88.0.2"), undefined);
  assert.equal(macOf("10.88.0.2", 100), undefined);
  assert.equal(frames().length, 1);
  stack.memory.bytes.fill(6, 5000, 5100);
  assert.equal(table.hold(0, ip("10.88.0.2"), 5000, 100), true);
  arp(ARP_REPLY, "10.88.0.2", "10.88.0.1", CONTAINER_MAC, 200);
  const [waited] = frames();
  assert.equal(waited?.length, 100);
  assert.deepEqual(waited?.slice(VNET.SIZE, VNET.SIZE + 6), CONTAINER_MAC);
  assert.deepEqual(known, [ip("10.88.0.2")]);
  assert.equal(frames().length, 0);
});

test("who does not answer any more is not known any more, and who has taken an address over is found", () => {
  const { arp, macOf, frames } = setUp();
  arp(ARP_REQUEST, "10.88.0.2", "10.88.0.1");
  frames();
  assert.deepEqual(macOf("10.88.0.2", 14_000), CONTAINER_MAC);
  assert.equal(frames().length, 0);
  assert.deepEqual(macOf("10.88.0.2", 16_000), CONTAINER_MAC);
  assert.equal(frames().length, 1);
  assert.equal(macOf("10.88.0.2", 18_001), undefined);
  arp(ARP_REPLY, "10.88.0.2", "10.88.0.1", OTHER_MAC, 18_010);
  assert.deepEqual(macOf("10.88.0.2", 18_020), OTHER_MAC);
});

test("A-064 ten thousand made-up stations push out one another, and no fixed one", () => {
  const { table, arp, macOf } = setUp();
  table.setStations(0, [{ address: ip("10.88.200.1"), mac: CONTAINER_MAC }]);
  for (let i = 0; i < 10_000; i++) {
    arp(ARP_REQUEST, `10.88.${2 + (i >> 8)}.${i & 255}`, "10.88.0.1", Uint8Array.of(2, 0, 0, 1, i >> 8, i & 255));
  }
  assert.equal(table.evictedCount, 10_000 - 1023);
  assert.deepEqual(macOf("10.88.200.1"), CONTAINER_MAC);
});

test("neighbour discovery answers for the gateway and its link-local address, to probes by the group", () => {
  const { ndp, macOf, frames } = setUp();
  ndp(135, "fd00:88::2", "fd00:88::1", "ff02::1:ff00:1");
  ndp(135, "fe80::2", "fe80::ff:fe00:1", "ff02::1:ff00:1");
  ndp(135, "::", "fd00:88::1", "ff02::1:ff00:1");
  const seen = frames().map(seeFrame);
  assert.deepEqual(seen.map(({ type, source, destination, rest }) => [type, source, destination, rest >>> 24]), [
    [136, "fd00:88::1", "fd00:88::2", 0xe0],
    [136, "fe80::ff:fe00:1", "fe80::2", 0xe0],
    [136, "fd00:88::1", "ff02::1", 0xa0],
  ]);
  assert.deepEqual(macOf("fd00:88::2"), CONTAINER_MAC);
  ndp(135, "fd00:88::3", "fd00:88::99", "ff02::1:ff00:99");
  ndp(135, "fd00:88::3", "fd00:88::1", "ff02::1:ff00:1", 64);
  assert.deepEqual(frames(), []);
});

test("A-060 routers among containers are not heard, and advertisements only when they were asked for", () => {
  const { ndp, macOf, frames, table } = setUp();
  ndp(136, "fd00:88::5", "fd00:88::5", "ff02::1", 255, OTHER_MAC);
  ndp(134, "fe80::5", "::", "ff02::1", 255, OTHER_MAC);
  assert.deepEqual(frames(), []);
  assert.equal(macOf("fd00:88::5"), undefined);
  const [asked] = frames().map(seeFrame);
  assert.deepEqual([asked?.type, asked?.destination], [135, "ff02::1:ff00:5"]);
  ndp(136, "fd00:88::5", "fd00:88::5", "fe80::ff:fe00:1", 255, OTHER_MAC);
  assert.deepEqual(macOf("fd00:88::5"), OTHER_MAC);
  assert.equal(table.counters.malformed, 0);
});

test("C-139 a router advertises itself, its prefix, its name server and the MTU to who asks, and from time to time", () => {
  const { ndp, table, frames } = setUp();
  ndp(133, "fe80::2", "::", "ff02::2");
  table.onTimer(0);
  const seen = frames().map(seeFrame);
  assert.deepEqual(seen.map(({ type, source, destination }) => [type, source, destination]), [
    [134, "fe80::ff:fe00:1", "ff02::1"],
    [134, "fe80::ff:fe00:1", "ff02::1"],
  ]);
  const view = new DataView(seen[0]!.data.slice().buffer);
  // behind reachable and retransmission times: source MAC, MTU, prefix, RDNSS
  assert.deepEqual([view.getUint8(8), view.getUint8(16), view.getUint32(20), view.getUint8(24), view.getUint8(56)], [
    1,
    5,
    65_520,
    3,
    25,
  ]);
  assert.equal(table.nextTimerMs(), 600_000);
});

test("A-061 without IPv6 nothing is answered in it", () => {
  const { ndp, frames, table } = setUp({ hasIpv6: false });
  ndp(133, "fe80::2", "::", "ff02::2");
  ndp(135, "fd00:88::2", "fd00:88::1", "ff02::1:ff00:1");
  table.onTimer(0);
  assert.deepEqual(frames(), []);
  assert.equal(table.nextTimerMs(), Infinity);
});

test("A-059 cut frames of ARP are dropped", () => {
  const { stack, table, frames } = setUp();
  const { memory } = stack;
  writePlainVnet(memory.view, 0);
  writeEthernet(memory, VNET.SIZE, BROADCAST, CONTAINER_MAC, ETHERTYPE_ARP);
  writeArp(memory, VNET.SIZE + ETHERNET.SIZE, ARP_REQUEST, CONTAINER_MAC, 0x0a580002, OTHER_MAC, 0x0a580001);
  const frame = makeFrame();
  for (let end = VNET.SIZE + ETHERNET.SIZE; end < VNET.SIZE + ETHERNET.SIZE + ARP.SIZE; end++) {
    assert.equal(readFrame(memory, 0, end, frame), undefined);
    table.onFrame(frame, 0);
  }
  assert.deepEqual(frames(), []);
  assert.equal(table.counters.malformed, ARP.SIZE);
});
