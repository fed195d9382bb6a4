import { test } from "node:test";
import assert from "node:assert/strict";
import { parseSize } from "./size.ts";

test("sizes are powers of 1024, in any case, with and without b", () => {
  const sizes: [string, number][] = [
    ["0", 0],
    ["67108864", 67108864],
    ["64b", 64],
    ["64k", 65536],
    ["64m", 67108864],
    ["64M", 67108864],
    ["64mb", 67108864],
    ["64MiB", 67108864],
    ["64 m", 67108864],
    ["1g", 2 ** 30],
    ["1.5g", 1610612736],
    ["0.5k", 512],
    ["1t", 2 ** 40],
    ["2p", 2 ** 51],
    ["1.0001b", 1],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, text);
});

test("what is no size is refused", () => {
  const texts = [
    "",
    "m",
    "-1",
    "+1",
    "1x",
    "1e3",
    "0x10",
    "1..5m",
    ".5m",
    "5.m",
    "64  m",
    "64m ",
    " 64m",
    "64mm",
    "64bb",
  ]
    .concat(["64i", "64ib", "1,5g", "１m", "9999999999p", "9".repeat(30), "1m\n"]);
  for (const text of texts) assert.equal(parseSize(text), undefined, text);
});
