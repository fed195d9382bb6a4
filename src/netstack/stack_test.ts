import test from "node:test";
import assert from "node:assert/strict";
import { EAGAIN } from "#linux/errno_values.ts";
import { FRAME_SPACE } from "./device/device.ts";
import type { Link, Protocol } from "./protocol.ts";
import { makeTestStack, text, udpFrame } from "./socket/testing.ts";
import { makeStack, takeFrames } from "./stack.ts";
import { VNET } from "./wire/vnet.ts";

/** A stack whose link gives the frames of a list; what reaches UDP is counted. */
function setUp() {
  const test = makeTestStack();
  const { memory } = test;
  const waiting: Uint8Array[] = [];
  const seen: string[] = [];
  const errors: unknown[] = [];
  const receiveAt = test.reserve(FRAME_SPACE);
  const link: Link = {
    ...test.link,
    device: {
      ...test.link.device,
      receive(offset) {
        const next = waiting.shift();
        if (next === undefined) return -EAGAIN;
        memory.bytes.set(next, offset);
        return next.length;
      },
    },
  };
  const protocol = (name: string): Protocol => ({
    onFrame: () => {
      seen.push(name);
      if (name === "tcp") throw new Error("a mistake of ours");
    },
    onHostEvent() {},
    nextTimerMs: () => Infinity,
    onTimer() {},
  });
  const stack = makeStack({
    memory,
    links: [link],
    receiveAt,
    protocols: [],
    handlers: { arp: protocol("arp"), icmp: protocol("icmp"), tcp: protocol("tcp"), udp: protocol("udp") },
    addFragment: () => "kept",
    isSourceAllowed: (frame) => frame.source.d !== 0,
    onError: (error) => errors.push(error),
  });
  /** A container's datagram, changed before it is sent. */
  const send = (change: (bytes: Uint8Array) => void = () => {}) => {
    const { end } = udpFrame(memory, "10.88.0.2", 1, "192.0.2.1", 2, text("x"));
    const bytes = memory.bytes.slice(0, end);
    change(bytes);
    waiting.push(bytes);
    assert.equal(takeFrames(stack, link, 0), 0);
    return seen.splice(0);
  };
  return { stack, send, errors };
}

test("A-060 what a bridge floods for another station is nothing to the stack; groups and its own address are", () => {
  const { stack, send } = setUp();
  assert.deepEqual(send(), ["udp"]);
  assert.deepEqual(send((bytes) => bytes.fill(0xff, VNET.SIZE, VNET.SIZE + 6)), ["udp"]);
  assert.deepEqual(send((bytes) => bytes[VNET.SIZE + 5] = 77), []);
  assert.equal(stack.counters.dropped.station, 1);
});

test("A-059 every protocol, type and length is given to its handler, or dropped and counted", () => {
  const { stack, send, errors } = setUp();
  let dropped = 0;
  for (let type = 0; type < 0x10000; type += 251) {
    send((bytes) => {
      bytes[VNET.SIZE + 12] = type >> 8;
      bytes[VNET.SIZE + 13] = type & 255;
    });
  }
  assert.ok(stack.counters.dropped.protocol > 200);
  for (let protocol = 0; protocol < 256; protocol++) {
    const seen = send((bytes) => {
      const header = VNET.SIZE + 14;
      const view = new DataView(bytes.buffer);
      // the checksum after one byte of it has changed
      const before = view.getUint16(header + 8);
      bytes[header + 9] = protocol;
      const sum = (~view.getUint16(header + 10) & 0xffff) + (~before & 0xffff) + view.getUint16(header + 8);
      view.setUint16(header + 10, ~((sum & 0xffff) + (sum >>> 16)) & 0xffff);
    });
    if (seen.length === 0) dropped++;
  }
  assert.equal(dropped, 256 - 4);
  // a handler that fails is told of, and the next frame is taken
  assert.equal(errors.length, 1);
  assert.deepEqual(send(), ["udp"]);
  assert.deepEqual(send((bytes) => bytes[VNET.SIZE + 14] = 0x55), []);
});
