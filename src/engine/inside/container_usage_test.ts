import test from "node:test";
import assert from "node:assert/strict";
import { processorPercent, type UsageSample } from "./container_usage.ts";

function sample(atMs: number, spent: readonly (readonly [pid: number, ticks: number])[]): UsageSample {
  return {
    atMs,
    spentTicks: new Map(spent),
    spentMicroseconds: undefined,
    memoryBytes: 0,
    memoryLimitBytes: undefined,
    pressure: undefined,
    receivedBytes: undefined,
    sentBytes: undefined,
    readBytes: undefined,
    writtenBytes: undefined,
    tasks: spent.length,
  };
}

test("two processors at work are 200 per cent, and what has ended or begun meanwhile counts for what is known of it", () => {
  assert.equal(processorPercent(sample(0, [[7, 100], [8, 0]]), sample(1000, [[7, 200], [8, 100]])), 200);
  assert.equal(processorPercent(sample(0, [[7, 100], [8, 50]]), sample(2000, [[7, 150], [9, 10]])), 30);
  assert.equal(processorPercent(sample(5, []), sample(5, [])), 0);
});

test("a control group adds up what has ended too", () => {
  const at = (atMs: number, spentMicroseconds: number) => ({ ...sample(atMs, [[7, 100]]), spentMicroseconds });
  assert.equal(processorPercent(at(0, 1_000_000), at(2000, 2_000_000)), 50);
});
