import assert from "node:assert/strict";
import test from "node:test";
import { ECONNREFUSED, EHOSTUNREACH } from "#linux/errno_values.ts";
import { parseIpAddress } from "../../ip_address.ts";
import { byteAt, PLAIN } from "../../testing/host_simulation.ts";
import { makeReferencePeer, type ReferencePeer } from "../../testing/reference_peer.ts";
import { makeSimulatedStack } from "../../testing/simulated_stack.ts";
import { makeVirtualClock, runClock } from "../../testing/virtual_clock.ts";
import { makeWireEnd, NO_TROUBLE, type Trouble, type WireEnd } from "../../testing/wire_simulation.ts";
import { makeTestMemory } from "../../memory.ts";
import { makeRandom } from "../../wire/testing.ts";
import { FREE } from "./connection.ts";

const CONTAINER = parseIpAddress("10.88.0.2")!;
const SERVER = parseIpAddress("192.0.2.9")!;

/** Plain peers, one after the other at one stack. @returns The stack, peers, and frames that passed. */
function run(plan: {
  seed: number;
  trouble: Trouble;
  peers: number;
  sends: (random: () => number) => number;
  answers: (random: () => number) => number;
  failure?: number;
  untilMs?: number;
}) {
  const clock = makeVirtualClock();
  const random = makeRandom(Math.imul(plan.seed, 0x9e3779b1));
  const counts = { frames: 0, lost: 0, doubled: 0, late: 0, corrupted: 0 };
  const ends: WireEnd[] = [];
  const side = makeSimulatedStack({
    clock,
    random,
    wire: (memory) => ends[0] = makeWireEnd(memory, clock, random, plan.trouble, counts, () => ends[1]!),
    mac: 1,
    otherMac: 2,
    mtu: 1500,
    memoryBytes: 4 << 20,
    serve: () =>
      plan.failure ?? { behaviour: { ...PLAIN, sends: plan.answers(random), seed: 5, bufferBytes: 6000 }, expects: 3 },
  });
  const memory = makeTestMemory(100_000);
  ends[1] = makeWireEnd(memory, clock, random, plan.trouble, counts, () => ends[0]!);
  const peers: ReferencePeer[] = Array.from({ length: plan.peers }, (_, index) =>
    makeReferencePeer({
      clock,
      send(frame) {
        memory.bytes.set(frame);
        ends[1]!.device.transmit(0, frame.length, 0, 0, 0, 0);
      },
      from: CONTAINER,
      to: SERVER,
      fromPort: 2000 + index,
      toPort: 80,
      sends: Uint8Array.from({ length: plan.sends(random) }, (_, place) => byteAt(3, place)),
      initialSequence: random(),
    }));
  ends[1].onArrival = () => {
    for (let frame = ends[1]!.arrived.shift(); frame !== undefined; frame = ends[1]!.arrived.shift()) {
      for (const peer of peers) peer.onFrame(frame);
    }
  };
  runClock(clock, plan.untilMs ?? 1_200_000);
  assert.deepEqual(side.errors, []);
  return { side, peers, counts };
}

test("a plain TCP that was written apart from ours talks with it over a bad wire", () => {
  let frames = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const isBad = seed % 4 !== 0;
    const { side, peers, counts } = run({
      seed,
      trouble: isBad ? { loss: 0.05, duplication: 0.05, reordering: 0.1, corruption: 0.02, delayMs: 2 } : NO_TROUBLE,
      peers: 8,
      sends: (random) => random() % 20_000,
      answers: (random) => random() % 20_000,
    });
    frames += counts.frames;
    for (const [index, peer] of peers.entries()) {
      assert.equal(peer.state, "closed", `seed ${seed}, peer ${index}`);
      assert.ok(peer.got.every((byte, place) => byte === byteAt(5, place)), `seed ${seed}, peer ${index}: bytes`);
    }
    for (const program of side.host.programs) {
      assert.equal(program.wrong, undefined, `seed ${seed}`);
      assert.ok(program.hasGotEnd && program.given === program.behaviour.sends, `seed ${seed}`);
    }
    assert.ok(side.tcp.state.connections.every(({ state }) => state === FREE));
    assert.equal(side.host.openCount(), 0);
  }
  console.log(`40 worlds with a plain peer, ${frames} frames`);
});

test("refused is refused, unreachable is unreachable, and where the host hears nothing, neither does the container", () => {
  const one = (failure: number) =>
    run({ seed: 1, trouble: NO_TROUBLE, peers: 1, sends: () => 1, answers: () => 1, failure, untilMs: 100 });
  assert.equal(one(ECONNREFUSED).peers[0]!.state, "reset");
  // ICMP, which the plain peer does not understand: nothing but one frame came back
  const unreachable = one(EHOSTUNREACH);
  assert.equal(unreachable.peers[0]!.state, "opening");
  assert.equal(unreachable.counts.frames, 2);
  const silent = one(110);
  assert.equal(silent.peers[0]!.state, "opening");
  assert.equal(silent.counts.frames, 1);
  for (const { side } of [unreachable, silent]) assert.equal(side.tcp.state.open, 0);
});
