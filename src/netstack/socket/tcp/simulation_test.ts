import assert from "node:assert/strict";
import test from "node:test";
import { parseIpAddress } from "../../ip_address.ts";
import { type Behaviour, type HostProgram, PLAIN } from "../../testing/host_simulation.ts";
import { makeRandom } from "../../wire/testing.ts";
import { makeSimulatedStack, type SimulatedStack } from "../../testing/simulated_stack.ts";
import { at, makeVirtualClock, runClock } from "../../testing/virtual_clock.ts";
import { makeWireEnd, NO_TROUBLE, type Trouble, type WireCounts, type WireEnd } from "../../testing/wire_simulation.ts";
import { FREE } from "./connection.ts";

/**
 * Two stacks, back to back: clients of A's published port are opened "inside", which is B, which connects to a server of its host.
 * Thus both ways to open, and every byte crosses two TCPs of ours and the wire.
 */
interface World {
  a: SimulatedStack;
  b: SimulatedStack;
  counts: WireCounts;
  clients: HostProgram[];
  servers: HostProgram[];
  lastMs: number;
}

interface Plan {
  seed: number;
  mtu: number;
  trouble: Trouble;
  connections: number;
  /** Time between two of them. */
  spacingMs: number;
  client: (random: () => number, index: number) => Behaviour;
  server: (random: () => number, index: number) => Behaviour | number;
  memoryBytes?: number;
  untilMs?: number;
  family?: 4 | 6;
}

const PORT = 80;
const SEED_LIMIT = 1 << 20;

function run(plan: Plan): World {
  const clock = makeVirtualClock();
  const random = makeRandom(plan.seed);
  const counts: WireCounts = { frames: 0, lost: 0, doubled: 0, late: 0, corrupted: 0 };
  const ends: WireEnd[] = [];
  const servers: HostProgram[] = [];
  let served = 0;
  const memoryBytes = plan.memoryBytes ?? 32 << 20;
  const make = (index: number): SimulatedStack =>
    makeSimulatedStack({
      clock,
      random,
      wire: (memory) => ends[index] = makeWireEnd(memory, clock, random, plan.trouble, counts, () => ends[1 - index]!),
      mac: index + 1,
      otherMac: 2 - index,
      mtu: plan.mtu,
      memoryBytes,
      serve() {
        const behaviour = plan.server(random, served++);
        // each side's bytes are told by the seed that its peer's behaviour has; both are 2k and 2k + 1 of one number
        return typeof behaviour === "number" ? behaviour : { behaviour, expects: behaviour.seed ^ SEED_LIMIT };
      },
    });
  const a = make(0);
  const b = make(1);
  const container = parseIpAddress(plan.family === 6 ? "fd00::5" : "10.88.0.5")!;
  assert.equal(a.tcp.publish(0, parseIpAddress("0.0.0.0")!, PORT, container, PORT), 0);
  const clients: HostProgram[] = [];
  for (let index = 0; index < plan.connections; index++) {
    at(clock, index * plan.spacingMs, () => {
      const behaviour = plan.client(random, index);
      clients.push(a.host.connectTo(PORT, behaviour, behaviour.seed ^ SEED_LIMIT));
    });
  }
  runClock(clock, plan.untilMs ?? 3_600_000);
  servers.push(...b.host.programs);
  assert.deepEqual([...a.errors, ...b.errors], []);
  return { a, b, counts, clients, servers, lastMs: clock.nowMs };
}

/** Nothing is left of anything: descriptors, records, memory, deadlines. */
function assertNothingLeft({ a, b }: World): void {
  for (const side of [a, b]) {
    const { state } = side.tcp;
    assert.equal(side.host.openCount(), side === a ? 1 : 0, "host sockets that are left (the listener stays)");
    const left = state.connections.filter(({ state }) => state !== FREE);
    assert.deepEqual(left.map(({ state }) => state), [], "connections that are left");
    assert.equal(state.blocks.freeBytes, state.blocks.sizeBytes, "memory that is left");
    assert.equal(state.deadlines.count, 0);
    assert.equal(state.open, 0);
    assert.equal(state.owners.size, 0);
  }
}

function assertAllCame({ clients, servers }: World): void {
  assert.equal(clients.length, servers.length);
  for (const program of [...clients, ...servers]) assert.equal(program.wrong, undefined);
  const sum = (programs: HostProgram[], key: "got" | "given") => programs.reduce((all, one) => all + one[key], 0);
  assert.ok(clients.every((one) => one.given === one.behaviour.sends && one.hasGotEnd && !one.isReset));
  assert.ok(servers.every((one) => one.given === one.behaviour.sends && one.hasGotEnd && !one.isReset));
  assert.equal(sum(clients, "got"), sum(servers, "given"));
  assert.equal(sum(servers, "got"), sum(clients, "given"));
}

const both = (change: Partial<Behaviour>) => ({
  client: (): Behaviour => ({ ...PLAIN, ...change, seed: 7 }),
  server: (): Behaviour => ({ ...PLAIN, ...change, seed: 7 ^ SEED_LIMIT }),
});

test("bytes go both ways over a good wire, and nothing is left", () => {
  for (const [mtu, family] of [[65_520, 4], [1500, 4], [1500, 6], [576, 4]] as const) {
    const world = run({
      seed: 1,
      mtu,
      family,
      trouble: NO_TROUBLE,
      connections: 5,
      spacingMs: 1,
      ...both({ sends: 300_000 }),
    });
    assertAllCame(world);
    assertNothingLeft(world);
    assert.equal(world.a.tcp.state.counters.retransmitted, 0);
  }
});

/** A wire as bad as the seed makes it. */
function troubleOf(random: () => number): Trouble {
  const share = (most: number) => (random() / 2 ** 32) ** 3 * most;
  return {
    loss: share(0.2),
    duplication: share(0.1),
    reordering: share(0.3),
    corruption: share(0.05),
    delayMs: 0.02 + share(40),
  };
}

/** Programs of all kinds. */
function behaviourOf(random: () => number, seed: number): Behaviour {
  const pick = <T>(...all: T[]) => all[random() % all.length]!;
  return {
    sends: pick(0, 1, 100, 5_000, 70_000, random() % 400_000),
    chunkBytes: pick(1000, 10_000, 1 << 20),
    everyMs: pick(0, 0, 1, 20),
    readChunkBytes: pick(1000, 20_000, 1 << 20),
    readEveryMs: pick(0, 0, 1, 10),
    bufferBytes: pick(5_000, 65_536, 1 << 18),
    resetsAfter: Infinity,
    answersAtEnd: random() % 8 === 0,
    seed,
  };
}

/** How many seeds are simulated: more in a run by hand. */
const WORLDS = Number(process.env["DUGOUT_SIMULATION_WORLDS"] ?? 40);

test("whatever the wire loses, doubles, disorders and corrupts, all bytes come, once, and nothing is left", () => {
  let frames = 0;
  let lost = 0;
  let connections = 0;
  for (let seed = 1; seed <= WORLDS; seed++) {
    const random = makeRandom(seed);
    const isBig = random() % 3 === 0;
    let world: World;
    try {
      world = run({
        seed,
        mtu: isBig ? 65_520 : [576, 1500, 9000][random() % 3]!,
        family: random() % 2 === 0 ? 4 : 6,
        trouble: troubleOf(random),
        connections: 1 + random() % 12,
        spacingMs: random() % 20,
        client: (random) => ({ ...behaviourOf(random, 9), answersAtEnd: false }),
        // the server does not know which client it serves: all streams of one side are alike
        server: (random) => ({ ...behaviourOf(random, 0), seed: 9 ^ SEED_LIMIT }),
      });
      assertAllCame(world);
      assertNothingLeft(world);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    frames += world.counts.frames;
    lost += world.counts.lost;
    connections += world.clients.length;
  }
  console.log(`${WORLDS} worlds, ${connections} connections, ${frames} frames, ${lost} of them lost`);
});
