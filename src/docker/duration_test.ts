import { test } from "node:test";
import assert from "node:assert/strict";
import { parseDuration } from "./duration.ts";

test("durations are read as Go writes them", () => {
  const durations: [string, number][] = [
    ["0", 0],
    ["0s", 0],
    ["90s", 90e9],
    ["1h2m3.5s", 3723.5e9],
    ["300ms", 300e6],
    ["1us", 1e3],
    ["1µs", 1e3],
    ["1μs", 1e3],
    [".5s", 0.5e9],
    ["1.s", 1e9],
    ["10ns", 10],
    ["1m1m", 120e9],
  ];
  for (const [text, ns] of durations) assert.equal(parseDuration(text), ns, text);
});

test("what is no duration is refused", () => {
  const texts = [
    "",
    "5",
    "s",
    ".s",
    "1",
    "-1s",
    "+1s",
    "1 s",
    "1s ",
    "1d",
    "1sec",
    "1mss",
    "1e3s",
    "1S",
    "9".repeat(18) + "h",
  ];
  for (const text of [...texts, "1s".repeat(100_000)]) assert.equal(parseDuration(text), undefined, text.slice(0, 20));
});
