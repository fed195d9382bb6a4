import assert from "node:assert/strict";
import test from "node:test";
import { earliest, forget, makeDeadlines, takeDue, wakeBy } from "./deadlines.ts";
import { makeRandom } from "./wire/testing.ts";

test("the earliest slot comes first, whatever was set, put forward and forgotten", () => {
  const random = makeRandom(5);
  const heap = makeDeadlines(100);
  const model = new Map<number, number>();
  for (let round = 0; round < 50_000; round++) {
    const slot = random() % 100;
    const what = random() % 4;
    if (what < 2) {
      const time = random() % 1000;
      wakeBy(heap, slot, time);
      model.set(slot, Math.min(time, model.get(slot) ?? Infinity));
    } else if (what === 2) {
      forget(heap, slot);
      model.delete(slot);
    } else {
      const now = random() % 500;
      const due = takeDue(heap, now);
      const first = Math.min(...model.values());
      if (first > now) assert.equal(due, -1);
      else {
        assert.equal(model.get(due), first);
        model.delete(due);
      }
    }
    assert.equal(heap.count, model.size);
    assert.equal(earliest(heap), Math.min(...model.values()));
  }
});
