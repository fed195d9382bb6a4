import assert from "node:assert/strict";
import test from "node:test";
import { makeRandom } from "../../wire/testing.ts";
import { addRange, countWithin, dropBefore, makeRanges, MAX_RANGES, nextRange, skipRanges } from "./ranges.ts";

/** Numbers around which sequence numbers wrap, and some where they do not. */
const BASES = [0, -40, 0x7fffffff - 40, 12345] as const;

test("ranges are what a plain set of numbers is, wherever sequence numbers wrap", () => {
  for (const base of BASES) {
    const random = makeRandom(base + 77);
    const ranges = makeRanges();
    let model = new Set<number>();
    let edge = 0;
    for (let round = 0; round < 500; round++) {
      const left = edge + random() % 200;
      const right = left + 1 + random() % 12;
      const index = addRange(ranges, (base + left) | 0, (base + right) | 0);
      if (index !== -1) { for (let n = left; n < right; n++) model.add(n); }
      if (random() % 10 === 0) {
        edge += random() % 30;
        dropBefore(ranges, (base + edge) | 0);
        model = new Set([...model].filter((n) => n >= edge));
      }
      assert.ok(ranges.count <= MAX_RANGES);
      const from = edge + random() % 220;
      const to = from + random() % 50;
      const inside = [...model].filter((n) => n >= from && n < to).length;
      assert.equal(countWithin(ranges, (base + from) | 0, (base + to) | 0), inside);
      let free = from;
      while (model.has(free)) free++;
      assert.equal(skipRanges(ranges, (base + from) | 0), (base + free) | 0);
      let next = free + 1;
      while (next < free + 400 && !model.has(next)) next++;
      assert.equal(nextRange(ranges, (base + free) | 0, (base + free + 400) | 0), (base + next) | 0);
    }
  }
});
