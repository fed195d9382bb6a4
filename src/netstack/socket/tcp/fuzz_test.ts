import assert from "node:assert/strict";
import test from "node:test";
import { ECONNREFUSED, EHOSTUNREACH } from "#linux/errno_values.ts";
import { VNET_HEADER_SIZE } from "../../device/device.ts";
import { parseIpAddress } from "../../ip_address.ts";
import { makeTestMemory } from "../../memory.ts";
import { byteAt, PLAIN } from "../../testing/host_simulation.ts";
import { makeSegment } from "../../testing/reference_peer.ts";
import { makeSimulatedStack, type SimulatedStack } from "../../testing/simulated_stack.ts";
import { at, makeVirtualClock, runClock } from "../../testing/virtual_clock.ts";
import { makeWireEnd, NO_TROUBLE, type WireEnd } from "../../testing/wire_simulation.ts";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { makeRandom } from "../../wire/testing.ts";
import { type Connection, ESTABLISHED, FREE, LAST_ACK, SYN_SENT, TIME_WAIT } from "./connection.ts";
import { distance } from "./sequence.ts";

const CONTAINER = parseIpAddress("10.88.0.2")!;
const SERVER = parseIpAddress("192.0.2.9")!;
const CLIENT = parseIpAddress("192.0.2.77")!;

/** What must be so of every connection, whatever came. */
function checkConnection(connection: Connection, seen: Set<number>): void {
  const { state, toInside, toHost, unacknowledged, next, receiveNext, receiveEdge, isFinSent, sacked, ahead } =
    connection;
  if (state === FREE) return;
  seen.add(state);
  const flight = distance(next, unacknowledged);
  assert.ok(flight >= 0, "more is acknowledged than was sent");
  if (state >= ESTABLISHED && state <= LAST_ACK) {
    assert.ok(flight - (isFinSent ? 1 : 0) <= toInside.used, "bytes are on the way that are not kept");
  }
  assert.ok(toInside.used >= 0 && toInside.used <= toInside.capacity);
  assert.ok(toHost.used >= 0 && toHost.used <= toHost.capacity);
  if (state > SYN_SENT) assert.ok(distance(receiveEdge, receiveNext) >= 0, "the window has a negative size");
  for (const ranges of [sacked, ahead]) {
    for (let i = 0; i + 1 < (ranges?.count ?? 0); i++) {
      assert.ok(distance(ranges!.left[i + 1]!, ranges!.right[i]!) > 0, "ranges touch, or are not in order");
    }
  }
  if (ahead !== undefined && ahead.count > 0) {
    const reach = toHost.used + distance(ahead.right[ahead.count - 1]!, receiveNext);
    assert.ok(reach <= toHost.capacity, "bytes wait outside of the ring");
  }
}

/** How many hostile segments; more in a run by hand. */
const SEGMENTS = Number(process.env["DUGOUT_FUZZ_SEGMENTS"] ?? 150_000);

function pick<T>(random: () => number, ...all: T[]): T {
  return all[random() % all.length]!;
}

/** A segment that is nearly right for a connection, or for none. */
function hostileSegment(side: SimulatedStack, random: () => number): Uint8Array<ArrayBuffer> {
  const { connections } = side.tcp.state;
  const connection = connections.length > 0 && random() % 8 !== 0
    ? connections[random() % connections.length]
    : undefined;
  const near = (number: number, spread: number) =>
    (number + pick(random, 0, 0, 0, 0, 1, -1, random() % spread, -(random() % spread), random())) >>> 0;
  const isKnown = connection !== undefined && connection.state !== FREE;
  const flags = pick(
    random,
    TCP_ACK,
    TCP_ACK,
    TCP_ACK,
    TCP_ACK,
    TCP_SYN,
    TCP_SYN | TCP_ACK,
    TCP_ACK | TCP_FIN,
    TCP_RST,
    TCP_RST | TCP_ACK,
    0,
    random() % 256,
  );
  const payload = new Uint8Array(pick(random, 0, 0, 1, 100, 1460, random() % 1460));
  const sequence = isKnown ? near(connection.receiveNext, 70_000) : random();
  // bytes that the host's program can tell to be right, where they fit
  if (isKnown) {
    const place = distance(sequence | 0, connection.initialReceive) - 1;
    for (let i = 0; i < payload.length; i++) payload[i] = byteAt(3, place + i);
  }
  const frame = makeSegment({
    from: CONTAINER,
    to: isKnown ? connection.outside : SERVER,
    fromPort: isKnown ? connection.insidePort : 1000 + random() % 50,
    toPort: isKnown ? connection.outsidePort : 80,
    sequence,
    acknowledgement: isKnown ? near(pick(random, connection.next, connection.unacknowledged), 70_000) : random(),
    flags,
    window: pick(random, 0, 1, 1000, 65_535, random() % 65_536),
    mss: pick(random, 0, 0, 0, 1, 64, 1460, 65_535),
    payload,
  });
  // some are broken on the way, with a vnet header that says that they are good
  for (let flips = random() % 8 === 0 ? 1 + random() % 3 : 0; flips > 0; flips--) {
    const place = VNET_HEADER_SIZE + 14 + random() % (frame.length - VNET_HEADER_SIZE - 14);
    frame[place] = random() % 256;
  }
  frame[0] = 2;
  return frame;
}

test("A-056 A-059 hostile segments in every state end nothing, hold no more than there is, and break no connection's own rules", () => {
  const seen = new Set<number>();
  let left = SEGMENTS;
  let opened = 0;
  for (let seed = 1; left > 0; seed++) {
    const clock = makeVirtualClock();
    const random = makeRandom(Math.imul(seed, 0x9e3779b1));
    const counts = { frames: 0, lost: 0, doubled: 0, late: 0, corrupted: 0 };
    const ends: WireEnd[] = [];
    const side = makeSimulatedStack({
      clock,
      random,
      wire: (memory) => ends[0] = makeWireEnd(memory, clock, random, NO_TROUBLE, counts, () => ends[1]!),
      mac: 1,
      otherMac: 2,
      mtu: 1500,
      memoryBytes: 2 << 20,
      limits: { connections: 64, ofOne: 48, openingOfOne: 16, timeWaits: 8 },
      serve: () =>
        pick<{ behaviour: typeof PLAIN; expects: number } | number>(
          random,
          ECONNREFUSED,
          EHOSTUNREACH,
          ...Array.from({ length: 6 }, () => ({
            behaviour: {
              ...PLAIN,
              sends: random() % 100_000,
              bufferBytes: pick(random, 500, 5000, 200_000),
              resetsAfter: pick(random, Infinity, Infinity, 2000),
              seed: 5,
            },
            expects: 3,
          })),
        ),
    });
    const memory = makeTestMemory(100_000);
    ends[1] = makeWireEnd(memory, clock, random, NO_TROUBLE, counts, () => ends[0]!);
    ends[1].onArrival = () => ends[1]!.arrived.length = 0;
    side.tcp.publish(0, CLIENT, 90, CONTAINER, 80);
    const share = Math.min(left, 3000);
    left -= share;
    for (let i = 0; i < share; i++) {
      // mostly at once, sometimes after timers had their time
      const atMs = i * 0.05 + Math.floor(i / 500) * 40_000;
      at(clock, atMs, () => {
        if (random() % 100 === 0) side.host.connectTo(90, { ...PLAIN, sends: random() % 20_000, seed: 5 }, 3);
        const frame = hostileSegment(side, random);
        ends[0]!.arrived.push(frame);
        side.turn();
        for (const connection of side.tcp.state.connections) checkConnection(connection, seen);
      });
    }
    try {
      runClock(clock, 3_600_000);
      assert.deepEqual(side.errors, []);
      const { state } = side.tcp;
      opened += state.counters.opened + state.counters.accepted;
      side.tcp.resetAll(0);
      assert.equal(state.blocks.freeBytes, state.blocks.sizeBytes, "memory is left");
      assert.equal(state.owners.size, 0);
      assert.equal(side.host.openCount(), 1);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  for (let state = 1; state <= TIME_WAIT; state++) assert.ok(seen.has(state), `state ${state} was never met`);
  console.log(`${SEGMENTS} hostile segments, ${opened} connections`);
});
