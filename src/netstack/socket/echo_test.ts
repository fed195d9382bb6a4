import test from "node:test";
import assert from "node:assert/strict";
import { EACCES, EHOSTUNREACH } from "#linux/errno_values.ts";
import { HOST_FAILED, HOST_READABLE } from "../host_events.ts";
import { ECHO_SCRATCH_BYTES, makeEcho } from "./echo.ts";
import { ICMP_ERROR_SCRATCH_BYTES, makeIcmpErrors } from "./icmp_errors.ts";
import { icmpFrame, ip, makeTestHost, makeTestStack, seeFrame, type TestLinkOptions, text } from "./testing.ts";

function setUp(options: TestLinkOptions = {}) {
  const stack = makeTestStack(options);
  const host = makeTestHost(stack.memory);
  const echo = makeEcho(stack.surroundings, {
    index: 2,
    scratch: stack.reserve(ECHO_SCRATCH_BYTES),
    sockets: host.sockets,
    errors: makeIcmpErrors(stack.surroundings, stack.reserve(ICMP_ERROR_SCRATCH_BYTES)),
    bounds: { flows: 64, flowsPerContainer: 16 },
    permits: () => true,
  });
  const ping = (from: string, to: string, id = 7, sequence = 1, hopLimit = 64, data = text("abcdefgh")) => {
    const type = from.includes(":") ? 128 : 8;
    echo.onFrame(icmpFrame(stack.memory, from, to, type, 0, (id << 16) | sequence, data, hopLimit), 0);
  };
  const seen = () => stack.takeFrames().map(seeFrame);
  const only = () => [...host.open.values()][0]!;
  const tell = (fd: number, events: number) => echo.onHostEvent(stack.watched.get(fd)!.key, events, 0);
  return { stack, host, echo, ping, seen, only, tell };
}

test("C-099 the gateway answers pings itself, with the same data", () => {
  const { host, ping, seen } = setUp();
  ping("10.88.0.2", "10.88.0.1");
  ping("fd00:88::2", "fd00:88::1");
  ping("fe80::2", "fd00:88::1");
  const frames = seen();
  assert.deepEqual(frames.map(({ type, rest, source, destination }) => [type, rest, source, destination]), [
    [0, 0x70001, "10.88.0.1", "10.88.0.2"],
    [129, 0x70001, "fd00:88::1", "fd00:88::2"],
    [129, 0x70001, "fd00:88::1", "fe80::2"],
  ]);
  assert.ok(frames.every(({ data }) => new TextDecoder().decode(data) === "abcdefgh"));
  assert.equal(host.opened, 0);
});

test("C-099 an outside address is asked by a ping socket, and answers with the container's id", () => {
  for (const [inside, outside] of [["10.88.0.2", "192.0.2.7"], ["fd00:88::2", "2001:db8::7"]] as const) {
    const { ping, seen, only, tell } = setUp();
    ping(inside, outside, 7, 3, 9);
    assert.deepEqual([only().kind, only().hopLimit, only().sent[0]?.to], ["ping", 8, `${outside} 0`]);
    // as the host's kernel gives it: with its own id
    const answer = Uint8Array.of(inside.includes(":") ? 129 : 0, 0, 0, 0, 0xaa, 0xbb, 0, 3, ...text("abcdefgh"));
    only().inbox.push({ data: answer, from: outside, port: 0, local: "" });
    tell(only().fd, HOST_READABLE);
    const [frame] = seen();
    assert.deepEqual([frame?.source, frame?.rest, frame?.data.length], [outside, 0x70003, 8]);
  }
});

test("C-099 where the host forbids ping sockets the container is told that it is prohibited, and it is counted", () => {
  const { echo, host, ping, seen } = setUp();
  host.failure.open = -EACCES;
  ping("10.88.0.2", "192.0.2.7");
  assert.deepEqual(seen().map(({ type, code }) => [type, code]), [[3, 13]]);
  assert.equal(echo.counters.forbidden, 1);
});

test("errors of the network come back with the ping that they are about, so that traceroute sees who sent them", () => {
  const { ping, seen, only, tell } = setUp();
  ping("10.88.0.2", "192.0.2.7", 7, 3);
  const quoted = Uint8Array.of(8, 0, 0, 0, 0xaa, 0xbb, 0, 3, 1, 2);
  only().failures.push({ type: 11, code: 0, errno: EHOSTUNREACH, offender: ip("198.51.100.9"), quoted });
  tell(only().fd, HOST_FAILED);
  const [frame] = seen();
  assert.deepEqual([frame?.type, frame?.code, frame?.source], [11, 0, "198.51.100.9"]);
  const inner = new DataView(frame!.data.slice().buffer);
  assert.deepEqual([inner.getUint32(16), inner.getUint16(24), inner.getUint16(26)], [0xc0000207, 7, 3]);
  ping("10.88.0.2", "192.0.2.7", 8, 3, 1);
  assert.deepEqual(seen().map(({ type, source }) => [type, source]), [[11, "10.88.0.1"]]);
});

test("A-052 pings do not reach the host's loopback, other networks or groups", () => {
  const { host, ping, seen } = setUp();
  for (const to of ["127.0.0.1", "0.0.0.0", "10.89.0.2", "169.254.1.1"]) ping("10.88.0.2", to);
  assert.deepEqual(seen().map(({ type, code }) => [type, code]), Array(4).fill([3, 13]));
  ping("10.88.0.2", "224.0.0.1");
  ping("10.88.0.2", "10.88.255.255");
  ping("10.89.0.2", "10.88.0.1");
  assert.deepEqual(seen().map(({ type }) => type), [3]);
  assert.equal(host.opened, 0);
});

test("A-058 a cut message is dropped, and no reply is longer than what came", () => {
  const { stack, echo, seen } = setUp();
  stack.memory.bytes.fill(0x5a, 0, 2000);
  const frame = icmpFrame(stack.memory, "10.88.0.2", "10.88.0.1", 8, 0, 1, text("abc"));
  const { end } = frame;
  for (frame.end = frame.transport; frame.end < end; frame.end++) echo.onFrame(frame, 0);
  assert.deepEqual(seen(), []);
  frame.end = end;
  echo.onFrame(frame, 0);
  assert.deepEqual(seen().map(({ data }) => data.length), [3]);
});

test("answers of our own to our own kind make no loop", () => {
  const { stack, echo, seen } = setUp();
  for (const type of [0, 3, 5, 11, 13, 17]) {
    echo.onFrame(icmpFrame(stack.memory, "10.88.0.2", "10.88.0.1", type, 0, 1, text("x")), 0);
  }
  assert.deepEqual(seen(), []);
});

test("a flood of answers goes on at the end of the turn, and a socket that fails without end does not keep the loop busy", () => {
  const { host, echo, ping, seen, only, tell } = setUp();
  ping("10.88.0.2", "192.0.2.7");
  const answer = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1);
  for (let i = 0; i < 50; i++) only().inbox.push({ data: answer, from: "192.0.2.7", port: 0, local: "" });
  tell(only().fd, HOST_READABLE);
  assert.equal(seen().length, 32);
  assert.equal(echo.nextTimerMs(), -Infinity);
  echo.onTurnEnd?.(0);
  assert.equal(seen().length, 18);
  host.sockets.receive = () => -EHOSTUNREACH;
  tell(only().fd, HOST_READABLE);
  assert.notEqual(echo.nextTimerMs(), -Infinity);
});
