import test from "node:test";
import assert from "node:assert/strict";
import { makeFrame } from "../frame.ts";
import { parseIpAddress } from "../ip_address.ts";
import { makeTestMemory, type Memory } from "../memory.ts";
import { makeRandom } from "./testing.ts";
import { ARP_REQUEST, checkArp, writeArp } from "./arp.ts";
import { foldSum, sumBytes } from "./checksum.ts";
import { DHCP_DISCOVER, makeDhcpRequest, readDhcp, writeDhcpReply } from "./dhcp.ts";
import { makeAnswer, makeQuery, readAnswer, readQuery, TYPE_A } from "./dns.ts";
import { encodeName, readName } from "./dns_name.ts";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, writeEthernet } from "./ethernet.ts";
import { finishIcmp, makeIcmpHeader, makeQuotedPacket, readIcmp, readQuoted, writeIcmp } from "./icmp.ts";
import { PROTOCOL_ICMPV6, PROTOCOL_TCP, PROTOCOL_UDP, sumPseudoHeader } from "./ip.ts";
import { writeIpv4 } from "./ipv4.ts";
import { writeIpv6 } from "./ipv6.ts";
import { checkNdp, copyNdpMac, writeNeighbour } from "./ndp.ts";
import { readFrame } from "./read_frame.ts";
import { finishTcp, makeTcpHeader, makeTcpOptions, readTcp, TCP, TCP_SYN, writeTcp, writeTcpOptions } from "./tcp.ts";
import { makeUdpHeader, readUdp, writeUdp } from "./udp.ts";
import { finishChecksum, VNET, writePlainVnet } from "./vnet.ts";

const A4 = parseIpAddress("10.88.0.2")!;
const B4 = parseIpAddress("192.0.2.7")!;
const A6 = parseIpAddress("fd00:88::2")!;
const B6 = parseIpAddress("2001:db8::7")!;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const ROUNDS = 100_000;
/** Behind each packet lies what another one has left: no parser may look at it. */
const MARGIN = 64;

/** Writes a good frame of one of six kinds at 0. @returns Its end. */
function writeGoodFrame(memory: Memory, kind: number): number {
  const { view } = memory;
  const ip = VNET.SIZE + 14;
  writePlainVnet(view, 0);
  switch (kind) {
    case 0: {
      writeEthernet(memory, VNET.SIZE, MAC, MAC, ETHERTYPE_ARP);
      writeArp(memory, ip, ARP_REQUEST, MAC, 0x0a580002, new Uint8Array(6), 0x0a580001);
      return ip + 28;
    }
    case 1: {
      writeEthernet(memory, VNET.SIZE, MAC, MAC, ETHERTYPE_IPV4);
      writeIpv4(view, ip, 20 + 8 + 10, PROTOCOL_UDP, A4, B4);
      writeUdp(view, ip + 20, 4000, 53, 18, sumPseudoHeader(A4, B4, PROTOCOL_UDP, 18), false);
      return ip + 38;
    }
    case 2: {
      const options = makeTcpOptions();
      Object.assign(options, { mss: 1460, windowScale: 7, sackPermitted: true, hasTimestamps: true, timestamp: 7 });
      writeEthernet(memory, VNET.SIZE, MAC, MAC, ETHERTYPE_IPV4);
      const length = writeTcpOptions(view, ip + 40, options);
      writeIpv4(view, ip, 40 + length, PROTOCOL_TCP, A4, B4);
      writeTcp(view, ip + 20, 4000, 80, 1, 0, TCP_SYN, 65_535, length);
      const pseudo = sumPseudoHeader(A4, B4, PROTOCOL_TCP, TCP.SIZE + length);
      finishTcp(view, ip + 20, ip + 40 + length, pseudo, false);
      return ip + 40 + length;
    }
    case 3: {
      writeEthernet(memory, VNET.SIZE, MAC, MAC, ETHERTYPE_IPV6);
      writeIpv6(view, ip, 16, PROTOCOL_ICMPV6, A6, B6);
      writeIcmp(view, ip + 40, 128, 0, 0x00010002);
      finishIcmp(view, ip + 40, ip + 56, sumPseudoHeader(A6, B6, PROTOCOL_ICMPV6, 16));
      return ip + 56;
    }
    case 4: {
      writeEthernet(memory, VNET.SIZE, MAC, MAC, ETHERTYPE_IPV6);
      const end = writeNeighbour(memory, ip + 40, 135, 0, B6, MAC);
      writeIpv6(view, ip, end - ip - 40, PROTOCOL_ICMPV6, A6, B6, 255);
      finishIcmp(view, ip + 40, end, sumPseudoHeader(A6, B6, PROTOCOL_ICMPV6, end - ip - 40));
      return end;
    }
    default: {
      // hop-by-hop, destination options, fragment header, UDP
      writeEthernet(memory, VNET.SIZE, MAC, MAC, ETHERTYPE_IPV6);
      writeIpv6(view, ip, 8 + 8 + 8 + 8, 0, A6, B6);
      memory.bytes.fill(0, ip + 40, ip + 72);
      memory.bytes[ip + 40] = 60;
      memory.bytes[ip + 48] = 44;
      memory.bytes[ip + 56] = PROTOCOL_UDP;
      writeUdp(view, ip + 64, 4000, 53, 8, sumPseudoHeader(A6, B6, PROTOCOL_UDP, 8), false);
      return ip + 72;
    }
  }
}

/** A memory that fails a test when somebody reads behind `end`, or before 0. */
function watchedMemory(memory: Memory, edge: { end: number }): Memory {
  const check = (at: number, size: number) => {
    if (at < 0 || at + size > edge.end) {
      throw new assert.AssertionError({ message: `read at ${at}, ends at ${edge.end}` });
    }
  };
  const sizes = new Map([["getUint8", 1], ["getUint16", 2], ["getInt32", 4], ["getUint32", 4]]);
  const view = new Proxy(memory.view, {
    get(target, key) {
      const size = sizes.get(String(key));
      const member = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        if (size !== undefined) check(Number(args[0]), size);
        return member.apply(target, args);
      };
    },
  });
  const bytes = new Proxy(memory.bytes, {
    get(target, key) {
      if (typeof key === "string" && /^[0-9]+$/.test(key)) check(Number(key), 1);
      const member = Reflect.get(target, key);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { view, bytes, address: 0 };
}

/** Reads a frame as far up as it goes, as the stack does. @returns Whether all of it was good. */
function readAll(memory: Memory, end: number, into: ReturnType<typeof makeReaders>): boolean {
  const { frame, udp, tcp, icmp, quoted } = into;
  if (readFrame(memory, 0, end, frame) !== undefined) return false;
  assert.ok(frame.end <= end);
  if (frame.etherType === ETHERTYPE_ARP) return checkArp(memory, frame.start + 14, frame.end) === undefined;
  if (frame.etherType !== ETHERTYPE_IPV4 && frame.etherType !== ETHERTYPE_IPV6) return false;
  assert.ok(frame.network < frame.transport && frame.transport <= frame.end);
  if (frame.isFragment) return true;
  const { view } = memory;
  switch (frame.protocol) {
    case PROTOCOL_UDP:
      if (readUdp(view, frame, frame.checksumIsGood, udp) !== undefined) return false;
      assert.ok(udp.payload <= udp.end && udp.end <= frame.end);
      return true;
    case PROTOCOL_TCP:
      if (readTcp(view, frame, frame.checksumIsGood, tcp) !== undefined) return false;
      assert.ok(tcp.payload <= tcp.end && tcp.end === frame.end && tcp.sackCount <= 4);
      return true;
    case 1:
    case PROTOCOL_ICMPV6: {
      // ICMP in IPv6 and the other way round are nobody's
      if (readIcmp(view, frame, icmp) !== undefined) return false;
      readQuoted(view, icmp.payload, icmp.end, quoted);
      if (frame.family === 6 && icmp.type >= 133 && icmp.type <= 136) {
        const isRouter = icmp.type === 133;
        if (checkNdp(memory, frame, isRouter) !== undefined) return false;
        copyNdpMac(memory, frame, isRouter, new Uint8Array(6));
      }
      return true;
    }
  }
  return false;
}

function makeReaders() {
  return {
    frame: makeFrame(),
    udp: makeUdpHeader(),
    tcp: makeTcpHeader(),
    icmp: makeIcmpHeader(),
    quoted: makeQuotedPacket(),
  };
}

test("A-058 every frame of ours is good, and every truncation of it is read within its bounds", () => {
  const plain = makeTestMemory(512);
  const edge = { end: 0 };
  const memory = watchedMemory(plain, edge);
  const readers = makeReaders();
  let truncations = 0;
  for (let kind = 0; kind < 6; kind++) {
    const end = writeGoodFrame(plain, kind);
    edge.end = end;
    assert.equal(readAll(memory, end, readers), true, `kind ${kind}`);
    for (edge.end = 0; edge.end < end; edge.end++, truncations++) {
      assert.equal(readAll(memory, edge.end, readers), false, `kind ${kind} cut to ${edge.end}`);
    }
  }
  console.log(`frames cut: ${truncations}`);
});

test("A-059 whatever the bytes, a frame is read within its bounds, and refused or good", () => {
  const seed = 0x5eed0001;
  const random = makeRandom(seed);
  const plain = makeTestMemory(512);
  const edge = { end: 0 };
  const memory = watchedMemory(plain, edge);
  const readers = makeReaders();
  let good = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const length = writeGoodFrame(plain, random() % 6);
    for (let i = length; i < length + MARGIN; i++) plain.bytes[i] = 0xee;
    for (let flips = random() % 4; flips > 0; flips--) plain.bytes[random() % length] = random() & 255;
    // a process inside says that the checksum is good: half of all garbage gets past it
    if ((random() & 1) === 0) plain.bytes[0] = 2;
    edge.end = (random() & 7) === 0 ? random() % (length + MARGIN) : length;
    if (readAll(memory, edge.end, readers)) good += 1;
    // the virtio header may ask for a checksum anywhere
    if ((plain.bytes[0]! & 1) === 1 && readFrame(memory, 0, edge.end, readers.frame) === undefined) {
      finishChecksum(memory.view, 0, edge.end);
    }
  }
  console.log(`frames fuzzed: ${ROUNDS}, good: ${good}, seed: 0x${seed.toString(16)}`);
  assert.ok(good > 0 && good < ROUNDS);
});

test("A-059 random bytes are no frame that ends the reader", () => {
  const random = makeRandom(0x5eed0002);
  const plain = makeTestMemory(256);
  const edge = { end: 0 };
  const memory = watchedMemory(plain, edge);
  const readers = makeReaders();
  const types = [ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6];
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 64; i++) plain.view.setUint32(i * 4, random());
    plain.bytes[1] = 0;
    if ((random() & 3) !== 0) plain.view.setUint16(VNET.SIZE + 12, types[random() % 3]!);
    edge.end = random() % 257;
    readAll(memory, edge.end, readers);
  }
  console.log(`random frames: ${ROUNDS}`);
});

test("DHCP messages, good, cut and broken, are read within their bounds", () => {
  const random = makeRandom(0x5eed0003);
  const plain = makeTestMemory(1024);
  const edge = { end: 0 };
  const memory = watchedMemory(plain, edge);
  const request = makeDhcpRequest();
  const offer = { serverIp: 1, subnetMask: 2, router: 3, dns: 4, mtu: 65_520, leaseSeconds: 5 };
  let good = 0;
  for (let round = 0; round < ROUNDS / 4; round++) {
    request.type = DHCP_DISCOVER;
    const length = writeDhcpReply(plain, 0, DHCP_DISCOVER, request, 0, offer);
    plain.bytes[0] = 1;
    for (let flips = random() % 5; flips > 0; flips--) plain.bytes[236 + random() % 64] = random() & 255;
    edge.end = (random() & 3) === 0 ? random() % (length + 1) : length;
    if (readDhcp(memory, 0, edge.end, request) === undefined) good += 1;
  }
  console.log(`DHCP messages fuzzed: ${ROUNDS / 4}, good: ${good}`);
  assert.ok(good > 0);
});

test("A-062 DNS messages, good, cut and broken, are read or refused, both ways", () => {
  const random = makeRandom(0x5eed0004);
  const question = { name: "www.example.org", type: TYPE_A, class: 1 };
  const query = makeQuery(1, question, false)!;
  const read = readQuery(query);
  assert.ok(read !== undefined && "question" in read);
  const records = ["a.example", "b.example"].map((name) => ({
    name,
    type: 5,
    ttlSeconds: 9,
    data: encodeName("x.y")!,
  }));
  const answer = makeAnswer(read, 0, records, false);
  assert.equal(readAnswer(answer)?.records.length, 2);
  let good = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const isQuery = (random() & 1) === 0;
    const message = (isQuery ? query : answer).slice();
    for (let flips = 1 + random() % 6; flips > 0; flips--) message[random() % message.length] = random() & 255;
    const cut = (random() & 3) === 0 ? message.subarray(0, random() % message.length) : message;
    const result = isQuery ? readQuery(cut) : readAnswer(cut);
    if (result !== undefined && "question" in result) good += 1;
  }
  console.log(`DNS messages fuzzed: ${ROUNDS}, good: ${good}`);
  assert.ok(good > 0);
});

test("A-062 a name that points to itself, forwards, or on and on is none; every good name comes back", () => {
  const loop = Uint8Array.of(1, 0x61, 0xc0, 0);
  assert.equal(readName(loop, 0, 0, 4), undefined);
  assert.equal(readName(Uint8Array.of(0xc0, 2, 0, 0), 0, 0, 4), undefined);
  // each pointer leads to the one before it: a chain backwards ends, if at all, at a name
  const chain = new Uint8Array(2 + 2 * 200);
  for (let at = 2; at < chain.length; at += 2) chain.set([0xc0 | ((at - 2) >> 8), (at - 2) & 255], at);
  assert.equal(readName(chain, 0, chain.length - 2, chain.length)?.name, "");
  const random = makeRandom(0x5eed0005);
  for (let round = 0; round < 20_000; round++) {
    const labels = Array.from(
      { length: random() % 6 },
      () => Array.from({ length: 1 + random() % 12 }, () => String.fromCharCode(97 + random() % 26)).join(""),
    );
    const name = labels.join(".");
    const encoded = encodeName(name)!;
    assert.deepEqual(readName(encoded, 0, 0, encoded.length), { name, next: encoded.length });
  }
  assert.equal(encodeName("a..b"), undefined);
  assert.equal(encodeName("a".repeat(64)), undefined);
  assert.equal(encodeName(Array(128).fill("a").join(".")), undefined);
  assert.equal(readName(Uint8Array.of(2, 0x2e, 0x41, 0), 0, 0, 4)?.name, "\\046a");
});

test("the sum of bytes is that of an obviously right one, at every alignment and length", () => {
  const random = makeRandom(0x5eed0006);
  const memory = makeTestMemory(70_000);
  for (let i = 0; i < memory.bytes.length; i++) memory.bytes[i] = random() & 255;
  const plainSum = (at: number, end: number) => {
    let sum = 0;
    for (let i = at; i < end; i++) sum += (i - at) % 2 === 0 ? memory.bytes[i]! * 256 : memory.bytes[i]!;
    while (sum > 0xffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
    return sum;
  };
  for (let at = 0; at < 4; at++) {
    for (let length = 0; length < 70; length++) {
      assert.equal(sumBytes(memory.view, at, at + length), plainSum(at, at + length));
    }
  }
  assert.equal(sumBytes(memory.view, 1, 65_536), plainSum(1, 65_536));
  memory.bytes.fill(0xff);
  assert.equal(foldSum(sumBytes(memory.view, 0, 65_536)), 0xffff);
});
