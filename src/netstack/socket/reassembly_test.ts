import test from "node:test";
import assert from "node:assert/strict";
import { type Frame, makeFrame } from "../frame.ts";
import { parseIpAddress } from "../ip_address.ts";
import { makeTestMemory } from "../memory.ts";
import { makeRandom } from "../wire/testing.ts";
import { makeReassembly, REASSEMBLY_SPACE_BYTES } from "./reassembly.ts";

const BASE = 70_000;

interface Piece {
  from: number;
  bytes: Uint8Array;
  isLast: boolean;
  id?: number;
  family?: 4 | 6;
  source?: string;
}

function setUp() {
  const memory = makeTestMemory(BASE + REASSEMBLY_SPACE_BYTES);
  const reassembly = makeReassembly(memory, BASE);
  const frame: Frame = makeFrame();
  function add(piece: Piece, nowMs = 0) {
    const family = piece.family ?? 4;
    const address = family === 4 ? "10.0.0." : "fd00::";
    Object.assign(frame, {
      family,
      network: 34,
      transport: 100,
      end: 100 + piece.bytes.length,
      protocol: 17,
      hopLimit: 64,
      source: parseIpAddress(piece.source ?? `${address}2`),
      destination: parseIpAddress(`${address}3`),
      isFragment: true,
      fragmentOffset: piece.from,
      moreFragments: !piece.isLast,
      fragmentId: piece.id ?? 1,
    });
    memory.bytes.set(piece.bytes, 100);
    return reassembly.add(frame, nowMs);
  }
  return { memory, frame, add };
}

/** The pieces of a datagram, each of a multiple of eight bytes but the last. */
function cut(whole: Uint8Array, sizes: () => number): Piece[] {
  const pieces: Piece[] = [];
  for (let from = 0; from < whole.length;) {
    const to = Math.min(whole.length, from + 8 * sizes());
    pieces.push({ from, bytes: whole.slice(from, to), isLast: to === whole.length });
    from = to;
  }
  return pieces;
}

function shuffle<T>(list: T[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random() % (i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
}

test("datagrams come back whole, whatever the order of their pieces and how often these come", () => {
  const random = makeRandom(0xf4a6);
  const { memory, frame, add } = setUp();
  for (let round = 0; round < 2000; round++) {
    const whole = Uint8Array.from({ length: 1 + random() % 3000 }, () => random() & 255);
    const pieces = cut(whole, () => 1 + random() % 60);
    if (pieces.length === 1) continue;
    pieces.push(pieces[random() % pieces.length]!);
    shuffle(pieces, random);
    const family = (round & 1) === 0 ? 4 : 6;
    const results = pieces.map((piece) => {
      const result = add({ ...piece, id: round, family }, round);
      if (result === "whole") {
        assert.deepEqual(memory.bytes.slice(frame.transport, frame.end), whole);
        assert.equal(frame.isFragment, false);
      }
      return result;
    });
    assert.equal(results.filter((result) => result === "whole").length, 1);
    assert.ok(results.every((result) => result === "whole" || result === "kept"));
  }
});

test("A-055 overlapping pieces, a second end and what lies behind the end drop the whole datagram", () => {
  const piece = (from: number, length: number, isLast = false, fill = 1): Piece => ({
    from,
    bytes: new Uint8Array(length).fill(fill),
    isLast,
  });
  const bad: Piece[][] = [
    [piece(0, 16), piece(8, 16, true)],
    [piece(0, 16), piece(0, 16, false, 2)],
    [piece(16, 8, true), piece(32, 8, true)],
    [piece(32, 8), piece(16, 8, true)],
    [piece(16, 8, true), piece(24, 8)],
  ];
  for (const pieces of bad) {
    const { add } = setUp();
    assert.deepEqual(pieces.map((one) => add(one)), ["kept", "malformed"]);
    // nothing of it comes through later
    assert.equal(add(piece(0, 8)), "malformed");
  }
  const { add } = setUp();
  assert.equal(add(piece(0, 12)), "malformed");
  assert.equal(add({ from: 65_528, bytes: new Uint8Array(8), isLast: true }), "malformed");
  assert.equal(add({ from: 65_528, bytes: new Uint8Array(7), isLast: true, family: 6 }), "kept");
});

test("A-055 random pieces without end take no more memory, and a good datagram of another sender still comes whole", () => {
  const random = makeRandom(0x55);
  const { add } = setUp();
  const rounds = 100_000;
  const bytes = new Uint8Array(8);
  const good = cut(new Uint8Array(4000).fill(7), () => 100);
  let whole = 0;
  for (let round = 0; round < rounds; round++) {
    const word = random();
    add({ from: (word & 0xff) * 8, bytes, isLast: (word & 0x100) === 0, id: word >>> 16 }, round / 1000);
    if (round % 40_000 !== 0) continue;
    const results = good.map((one) => add({ ...one, id: round, source: "10.0.0.9" }, round / 1000));
    whole += results.filter((result) => result === "whole").length;
  }
  console.log(`random fragments: ${rounds}`);
  assert.equal(whole, 3);
});

test("a datagram whose pieces do not come within 30 seconds is forgotten", () => {
  const { add } = setUp();
  assert.equal(add({ from: 0, bytes: new Uint8Array(8), isLast: false }, 0), "kept");
  assert.equal(add({ from: 8, bytes: new Uint8Array(8), isLast: true }, 30_001), "kept");
  assert.equal(add({ from: 0, bytes: new Uint8Array(8), isLast: false }, 30_002), "whole");
});
