import test from "node:test";
import assert from "node:assert/strict";
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from "#linux/errno_values.ts";
import { HOST_FAILED, HOST_READABLE } from "../host_events.ts";
import { makeRandom } from "../wire/testing.ts";
import { ICMP_ERROR_SCRATCH_BYTES, makeIcmpErrors } from "./icmp_errors.ts";
import { ip, makeTestHost, makeTestStack, seeFrame, type TestLinkOptions, text, udpFrame } from "./testing.ts";
import { makeUdp, UDP_SCRATCH_BYTES } from "./udp.ts";

function setUp(options: TestLinkOptions & { flows?: number; flowsPerContainer?: number } = {}) {
  const stack = makeTestStack(options);
  const host = makeTestHost(stack.memory);
  const asked: string[] = [];
  const errors = makeIcmpErrors(stack.surroundings, stack.reserve(ICMP_ERROR_SCRATCH_BYTES));
  const udp = makeUdp(stack.surroundings, {
    index: 1,
    scratch: stack.reserve(UDP_SCRATCH_BYTES),
    sockets: host.sockets,
    errors,
    services: {
      dns: () => asked.push("dns"),
      dhcp: () => asked.push("dhcp"),
    },
    bounds: { flows: options.flows ?? 512, flowsPerContainer: options.flowsPerContainer ?? 128 },
    permits: (_link, _source, destination) => destination.d !== ip("192.0.2.66").d,
  });
  const send = (from: string, port: number, to: string, toPort: number, data = text("x"), nowMs = 0, hopLimit = 64) =>
    udp.onFrame(udpFrame(stack.memory, from, port, to, toPort, data, hopLimit), nowMs);
  const seen = () => stack.takeFrames().map(seeFrame);
  const readable = (fd: number, nowMs = 0) => udp.onHostEvent(stack.watched.get(fd)!.key, HOST_READABLE, nowMs);
  const only = () => [...host.open.values()][0]!;
  return { stack, host, udp, send, seen, readable, only, asked };
}

test("a datagram goes out through a socket of its flow, and the answer comes from where it was sent", () => {
  for (const [inside, outside] of [["10.88.0.2", "192.0.2.7"], ["fd00:88::2", "2001:db8::7"]] as const) {
    const { host, send, seen, readable, only } = setUp();
    send(inside, 4000, outside, 53, text("question"));
    send(inside, 4000, outside, 53, text(""));
    assert.equal(host.opened, 1);
    assert.deepEqual(only().sent.map(({ data, to }) => [data.length, to]), [[8, `${outside} 53`], [
      0,
      `${outside} 53`,
    ]]);
    only().inbox.push({ data: text("answer"), from: outside, port: 53, local: "" });
    readable(only().fd);
    const [answer] = seen();
    assert.equal(answer?.kind, "udp");
    assert.deepEqual([answer.source, answer.sourcePort, answer.destination, answer.destinationPort], [
      outside,
      53,
      inside,
      4000,
    ]);
    assert.deepEqual(answer.data, text("answer"));
  }
});

test("A-052 nothing is sent to the host's loopback or to a group, and the sender is told", () => {
  const { host, udp, send, seen } = setUp();
  for (const to of ["127.0.0.1", "127.0.0.53", "0.0.0.0", "169.254.169.254", "10.89.0.2", "240.0.0.1"]) {
    send("10.88.0.2", 4000, to, 53);
    assert.deepEqual(seen().map(({ kind, type, code }) => [kind, type, code]), [["icmp", 3, 13]], to);
  }
  for (const to of ["::1", "::", "64:ff9b::127.0.0.1", "fe80::5"]) {
    send("fd00:88::2", 4000, to, 53);
    assert.deepEqual(seen().map(({ kind, type, code }) => [kind, type, code]), [["icmp", 1, 1]], to);
  }
  for (const to of ["224.0.0.251", "255.255.255.255"]) send("10.88.0.2", 4000, to, 5353);
  assert.deepEqual(seen(), []);
  assert.equal(host.opened, 0);
  assert.equal(udp.counters.refused, 12);
});

test("C-098 an address of the network leads to the host's loopback where that was asked for", () => {
  const { send, seen, readable, only } = setUp({ hostLoopback: true });
  send("10.88.0.2", 4000, "10.88.255.254", 53, text("q"));
  assert.deepEqual(only().sent.map(({ to }) => to), ["127.0.0.1 53"]);
  only().inbox.push({ data: text("a"), from: "127.0.0.1", port: 53, local: "" });
  readable(only().fd);
  assert.equal(seen()[0]?.source, "10.88.255.254");
});

test("A-060 a datagram from an address that is none of the link's is dropped", () => {
  const { host, udp, send, seen } = setUp();
  for (const from of ["10.88.0.1", "10.89.0.2", "192.0.2.1", "127.0.0.1", "0.0.0.0"]) send(from, 4000, "192.0.2.7", 53);
  assert.deepEqual(seen(), []);
  assert.equal(host.opened, 0);
  assert.equal(udp.counters.foreignSource, 5);
});

test("A-053 the gateway answers DNS and DHCP, and no other port", () => {
  const { send, seen, asked } = setUp();
  send("10.88.0.2", 4000, "10.88.0.1", 53);
  send("0.0.0.0", 68, "255.255.255.255", 67);
  assert.deepEqual(asked, ["dns", "dhcp"]);
  send("10.88.0.2", 4000, "10.88.0.1", 123);
  assert.deepEqual(seen().map(({ type, code }) => [type, code]), [[3, 3]]);
});

test("--egress decides once for each flow", () => {
  const { host, send, seen } = setUp();
  send("10.88.0.2", 4000, "192.0.2.66", 53);
  assert.deepEqual(seen().map(({ type, code }) => [type, code]), [[3, 13]]);
  assert.equal(host.opened, 0);
});

test("C-139 where the host has no way, the sender is told at once", () => {
  const { host, send, seen } = setUp();
  host.failure.connect = -ENETUNREACH;
  send("fd00:88::2", 4000, "2001:db8::7", 53);
  const [error] = seen();
  assert.deepEqual([error?.type, error?.code, error?.source], [1, 0, "fd00:88::1"]);
  assert.equal(host.open.size, 0);
});

test("an error that the network has sent is told inside, with the datagram that it is about", () => {
  const { stack, udp, send, seen, only } = setUp();
  send("10.88.0.2", 4000, "192.0.2.7", 53, text("question"));
  const { fd, failures } = only();
  const offender = ip("198.51.100.9");
  failures.push({ type: 3, code: 3, errno: ECONNREFUSED, offender, quoted: text("question") });
  failures.push({ type: 3, code: 4, mtu: 1400, errno: 90, offender, quoted: text("question") });
  udp.onHostEvent(stack.watched.get(fd)!.key, HOST_FAILED, 0);
  const frames = seen();
  assert.deepEqual(frames.map(({ type, code, rest, source }) => [type, code, rest, source]), [
    [3, 3, 0, "198.51.100.9"],
    [3, 4, 1400, "198.51.100.9"],
  ]);
  // the quoted datagram: its header's source, ports
  const quoted = new DataView(frames[0]!.data.slice().buffer);
  assert.equal(quoted.getUint32(12), 0x0a580002);
  assert.deepEqual([quoted.getUint16(20), quoted.getUint16(22)], [4000, 53]);
  // one that comes in place of sending is told too, and the datagram is sent all the same
  failures.push({ type: 3, code: 1, errno: EHOSTUNREACH, offender, quoted: text("question") });
  only().sendResult = -EHOSTUNREACH;
  send("10.88.0.2", 4000, "192.0.2.7", 53, text("again"));
  assert.deepEqual(seen().map(({ type, code }) => [type, code]), [[3, 1]]);
  assert.deepEqual(only().sent.map(({ data }) => data.length), [8, 5]);
});

test("the time to live is the container's less one; none left is told by the gateway", () => {
  const { send, seen, only } = setUp();
  send("10.88.0.2", 4000, "192.0.2.7", 33434, text("x"), 0, 1);
  assert.deepEqual(seen().map(({ type, code, source }) => [type, code, source]), [[11, 0, "10.88.0.1"]]);
  send("10.88.0.2", 4000, "192.0.2.7", 33434, text("x"), 0, 5);
  assert.equal(only().hopLimit, 4);
});

test("a frame of many datagrams is cut into them", () => {
  const { stack, udp, only } = setUp();
  const frame = udpFrame(stack.memory, "10.88.0.2", 4000, "192.0.2.7", 53, new Uint8Array(2500));
  frame.segmentSizeBytes = 1000;
  udp.onFrame(frame, 0);
  assert.deepEqual(only().sent.map(({ data }) => data.length), [1000, 1000, 500]);
});

test("C-091 a published port's client is seen with its own address, and answered from the address that it asked", () => {
  const { host, udp, send, seen, readable, only } = setUp();
  assert.equal(udp.publish(0, ip("0.0.0.0"), 5300, ip("10.88.0.2"), 53), 0);
  only().inbox.push({ data: text("q1"), from: "198.51.100.1", port: 7000, local: "192.0.2.10" });
  only().inbox.push({ data: text("q2"), from: "198.51.100.2", port: 7000, local: "192.0.2.11" });
  readable(only().fd);
  assert.deepEqual(
    seen().map(({ source, sourcePort, destination, destinationPort }) => [
      source,
      sourcePort,
      destination,
      destinationPort,
    ]),
    [["198.51.100.1", 7000, "10.88.0.2", 53], ["198.51.100.2", 7000, "10.88.0.2", 53]],
  );
  send("10.88.0.2", 53, "198.51.100.2", 7000, text("a2"));
  send("10.88.0.2", 53, "198.51.100.1", 7000, text("a1"));
  assert.deepEqual(only().sent.map(({ to, local }) => [to, local]), [
    ["198.51.100.2 7000", "192.0.2.11"],
    ["198.51.100.1 7000", "192.0.2.10"],
  ]);
  assert.equal(host.opened, 1);
  assert.equal(udp.unpublish(ip("0.0.0.0"), 5300), true);
  assert.equal(host.open.size, 0);
  assert.equal(udp.flows.count, 0);
});

test("C-090 a hundred clients at once, on the loopback too, each get their answers", () => {
  const { udp, send, seen, readable, only } = setUp({ flowsPerContainer: 256 });
  udp.publish(0, ip("0.0.0.0"), 5300, ip("10.88.0.2"), 53);
  for (let i = 0; i < 100; i++) {
    const from = i % 2 === 0 ? `127.0.0.${1 + (i % 4)}` : `198.51.100.${1 + (i % 4)}`;
    only().inbox.push({
      data: text(`${i}`),
      from,
      port: 7000 + (i >> 2),
      local: i % 2 === 0 ? "127.0.0.1" : "192.0.2.1",
    });
  }
  readable(only().fd);
  for (let i = 0; i < 4; i++) udp.onTurnEnd?.(0);
  const frames = seen();
  assert.equal(frames.length, 100);
  assert.deepEqual(new Set(frames.map(({ source }) => source)), new Set(["10.88.0.1", "198.51.100.2", "198.51.100.4"]));
  assert.equal(new Set(frames.map(({ source, sourcePort }) => `${source} ${sourcePort}`)).size, 100);
  for (const { source, sourcePort, data } of frames) send("10.88.0.2", 53, source, sourcePort, data);
  const answered = only().sent.map(({ data, to }) => `${new TextDecoder().decode(data)} ${to}`);
  const wanted = Array.from({ length: 100 }, (_, i) => {
    const from = i % 2 === 0 ? `127.0.0.${1 + (i % 4)}` : `198.51.100.${1 + (i % 4)}`;
    return `${i} ${from} ${7000 + (i >> 2)}`;
  });
  assert.deepEqual(answered, wanted);
});

test("a flow ends when it is idle, later if it was answered", () => {
  const { host, udp, send, readable, only } = setUp();
  send("10.88.0.2", 4000, "192.0.2.7", 53);
  udp.onTimer(29_999);
  assert.equal(host.open.size, 1);
  only().inbox.push({ data: text("a"), from: "192.0.2.7", port: 53, local: "" });
  readable(only().fd, 20_000);
  udp.onTimer(udp.nextTimerMs());
  assert.equal(host.open.size, 1);
  assert.equal(udp.nextTimerMs(), 140_000);
  udp.onTimer(140_000);
  assert.equal(host.open.size, 0);
  assert.equal(udp.nextTimerMs(), Infinity);
});

test("A-064 a flood of ports takes a container's own flows, and never another's", () => {
  const { host, udp, send } = setUp({ flows: 200, flowsPerContainer: 100 });
  for (let i = 0; i < 10; i++) send("10.88.0.9", 4000 + i, "192.0.2.7", 53);
  for (let i = 0; i < 5_000; i++) send("10.88.0.2", 1 + i, "192.0.2.7", 53);
  assert.equal(host.open.size, 110);
  for (let i = 0; i < 5_000; i++) send("10.88.0.3", 1 + i, "192.0.2.7", 53);
  for (let i = 0; i < 10; i++) send("10.88.0.9", 4000 + i, "192.0.2.7", 53);
  assert.equal(host.opened, 10_010);
  assert.ok(host.open.size <= 200);
  assert.equal(udp.flows.count, host.open.size);
});

test("a datagram that is longer than the network's MTU goes in fragments, and is whole again behind them", () => {
  for (const [inside, outside] of [["10.88.0.2", "192.0.2.7"], ["fd00:88::2", "2001:db8::7"]] as const) {
    const { send, readable, only, stack } = setUp({ mtu: 1500 });
    send(inside, 4000, outside, 53);
    const random = makeRandom(9);
    const data = Uint8Array.from({ length: 5000 }, () => random() & 255);
    only().inbox.push({ data, from: outside, port: 53, local: "" });
    readable(only().fd);
    const frames = stack.takeFrames();
    assert.equal(frames.length, 4);
    const whole = frames.flatMap((frame) => [...seeFrame(frame).data]);
    assert.deepEqual(Uint8Array.from(whole.slice(8)), data);
    assert.ok(frames.every((frame) => frame.length <= 24 + 1500));
  }
});

test("A-055 a flow's flood does not keep others waiting: it goes on at the end of the turn", () => {
  const { udp, send, seen, readable, only } = setUp();
  send("10.88.0.2", 4000, "192.0.2.7", 53);
  for (let i = 0; i < 100; i++) only().inbox.push({ data: text("a"), from: "192.0.2.7", port: 53, local: "" });
  readable(only().fd);
  assert.equal(seen().length, 32);
  assert.equal(udp.nextTimerMs(), -Infinity);
  for (let i = 0; i < 3; i++) udp.onTurnEnd?.(0);
  assert.equal(seen().length, 68);
  assert.ok(udp.nextTimerMs() > 0);
});

test("A-059 a socket that fails without end does not keep the loop busy", () => {
  const { host, udp, send, readable, only } = setUp();
  send("10.88.0.2", 4000, "192.0.2.7", 53);
  assert.equal(udp.publish(0, ip("0.0.0.0"), 5300, ip("10.88.0.2"), 53), 0);
  host.sockets.receive = () => -ENETUNREACH;
  readable(only().fd);
  readable([...host.open.values()][1]!.fd);
  assert.notEqual(udp.nextTimerMs(), -Infinity);
});
