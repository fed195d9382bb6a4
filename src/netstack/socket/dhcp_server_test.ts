import test from "node:test";
import assert from "node:assert/strict";
import { makeUdpHeader, readUdp } from "../wire/udp.ts";
import { DHCP_SCRATCH_BYTES, makeDhcpServer } from "./dhcp_server.ts";
import { CONTAINER_MAC, makeTestStack, seeFrame, type TestLinkOptions, udpFrame } from "./testing.ts";

/** A client's message, its options as triples of kind, length and value. */
function message(type: number, mac: Uint8Array, options: number[] = [], clientIp = [0, 0, 0, 0]): Uint8Array {
  const bytes = new Uint8Array(240 + 3 + options.length + 1);
  bytes.set([1, 1, 6, 0, 0xca, 0xfe, 0, 1]);
  bytes.set(clientIp, 12);
  bytes.set(mac, 28);
  bytes.set([99, 130, 83, 99, 53, 1, type, ...options, 255], 236);
  return bytes;
}

function setUp(options: TestLinkOptions = {}) {
  const stack = makeTestStack(options);
  const server = makeDhcpServer(stack.surroundings, stack.reserve(DHCP_SCRATCH_BYTES));
  const header = makeUdpHeader();
  const say = (bytes: Uint8Array, nowMs = 0) => {
    const frame = udpFrame(stack.memory, "0.0.0.0", 68, "255.255.255.255", 67, bytes);
    assert.equal(readUdp(stack.memory.view, frame, false, header), undefined);
    server.onDatagram(frame, header, nowMs);
    const [raw] = stack.takeFrames();
    if (raw === undefined) return undefined;
    const { data, destination, destinationPort } = seeFrame(raw);
    assert.equal(destinationPort, 68);
    const given = new Map<number, number[]>();
    for (let at = 240; data[at] !== 255; at += 2 + data[at + 1]!) {
      given.set(data[at]!, [...data.subarray(at + 2, at + 2 + data[at + 1]!)]);
    }
    return { type: given.get(53)?.[0], address: [...data.subarray(16, 20)].join("."), destination, given };
  };
  return { stack, server, say };
}

const SERVER = [54, 4, 10, 88, 0, 1];

test("a container gets an address, the gateway, the name server and the MTU, and the same address again", () => {
  const { say } = setUp();
  const offer = say(message(1, CONTAINER_MAC));
  assert.deepEqual([offer?.type, offer?.address, offer?.destination], [2, "10.88.0.2", "10.88.0.2"]);
  const answer = say(message(3, CONTAINER_MAC, [...SERVER, 50, 4, 10, 88, 0, 2]));
  assert.equal(answer?.type, 5);
  const given = answer!.given;
  assert.deepEqual([given.get(1), given.get(3), given.get(6), given.get(26)], [
    [255, 255, 0, 0],
    [10, 88, 0, 1],
    [10, 88, 0, 1],
    [0xff, 0xf0],
  ]);
  assert.equal(say(message(1, CONTAINER_MAC), 1_000_000)?.address, "10.88.0.2");
  // renewed by the address that it has
  assert.equal(say(message(3, CONTAINER_MAC, [], [10, 88, 0, 2]), 2_000_000)?.type, 5);
});

test("another's address, or one of another network, is refused; what is for another server is not answered", () => {
  const { say } = setUp();
  say(message(1, CONTAINER_MAC));
  const other = Uint8Array.of(2, 0, 0, 0, 0, 7);
  assert.equal(say(message(3, other, [50, 4, 10, 88, 0, 2]))?.type, 6);
  assert.equal(say(message(3, other, [50, 4, 192, 168, 0, 2]))?.type, 6);
  assert.equal(say(message(3, other, [54, 4, 10, 88, 0, 9, 50, 4, 10, 88, 0, 3])), undefined);
});

test("A-064 ten thousand stations get no more than a network's share, and who has an address keeps it", () => {
  const { say } = setUp();
  say(message(1, CONTAINER_MAC));
  say(message(3, CONTAINER_MAC, [...SERVER, 50, 4, 10, 88, 0, 2]));
  let offers = 0;
  for (let i = 0; i < 10_000; i++) {
    if (say(message(1, Uint8Array.of(2, 0, 0, 1, i >> 8, i & 255))) !== undefined) offers++;
  }
  assert.equal(offers, 255);
  assert.equal(say(message(3, CONTAINER_MAC, [], [10, 88, 0, 2]), 1000)?.type, 5);
  // offers that nobody took are free again
  assert.equal(say(message(1, Uint8Array.of(2, 9, 9, 9, 9, 9)), 100_000)?.type, 2);
});

test("A-059 messages that are none, or came through a relay, are not answered", () => {
  const { say } = setUp();
  const good = message(1, CONTAINER_MAC);
  for (let length = 0; length < good.length - 1; length += 7) assert.equal(say(good.slice(0, length)), undefined);
  const relayed = good.slice();
  relayed[27] = 1;
  assert.equal(say(relayed), undefined);
  for (const type of [2, 5, 6, 0, 200]) assert.equal(say(message(type, CONTAINER_MAC)), undefined);
});
