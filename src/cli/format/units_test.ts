import assert from "node:assert/strict";
import { test } from "node:test";
import { humanBinarySize, humanDuration, humanSize } from "./units.ts";

test("sizes are rounded as docker rounds them", () => {
  // docker images (3 digits) and history, prune (4), with docker 28.2.2
  assert.deepEqual([0, 1, 999, 1000, 1234, 116500000, 999999999, 5e9].map((size) => humanSize(size, 3)), [
    "0B",
    "1B",
    "999B",
    "1kB",
    "1.23kB",
    "116MB",
    "1e+03MB",
    "5GB",
  ]);
  assert.deepEqual([1234, 116500000, 999999999, 12345678].map((size) => humanSize(size)), [
    "1.234kB",
    "116.5MB",
    "1000MB",
    "12.35MB",
  ]);
  assert.deepEqual([0, 1023, 1024, 8123456789].map(humanBinarySize), ["0B", "1023B", "1KiB", "7.566GiB"]);
});

test("spans of time have docker's words", () => {
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  const cases: [number, string][] = [
    [0, "Less than a second"],
    [999, "Less than a second"],
    [second, "1 second"],
    [31 * second, "31 seconds"],
    [minute, "About a minute"],
    [100 * second, "About a minute"],
    [2 * minute, "2 minutes"],
    [59 * minute, "59 minutes"],
    [hour, "About an hour"],
    [89 * minute, "About an hour"],
    [90 * minute, "2 hours"],
    [47 * hour, "47 hours"],
    [2 * day, "2 days"],
    [13 * day, "13 days"],
    [15 * day, "2 weeks"],
    [59 * day, "8 weeks"],
    [61 * day, "2 months"],
    [729 * day, "24 months"],
    [731 * day, "2 years"],
  ];
  for (const [spanMs, words] of cases) assert.equal(humanDuration(spanMs), words, `${spanMs} ms`);
});
