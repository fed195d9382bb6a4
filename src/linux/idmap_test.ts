import { test } from "node:test";
import assert from "node:assert/strict";
import {
  addOwn,
  insideId,
  mapAround,
  mapName,
  mapText,
  mapWithoutOwn,
  outsideId,
  parseGetsubids,
  parseMap,
  parseSubordinateFile,
} from "./idmap.ts";

const RANGE = [{ start: 100000, count: 65536 }];

test("the kernel's columns are read back as the map that was written", () => {
  assert.deepEqual(
    parseMap("         0       1001          1\n         1     100000      65536\n"),
    mapAround(1001, 0, RANGE),
  );
  assert.deepEqual(parseMap(""), []);
});

test("the usual map makes the user root and the subordinate ids the rest", () => {
  assert.equal(mapText(mapAround(1000, 0, RANGE)), "0 1000 1\n1 100000 65536\n");
});

test("keep-id puts the user's own id among the subordinate ones", () => {
  assert.equal(mapText(mapAround(1000, 1000, RANGE)), "0 100000 1000\n1000 1000 1\n1001 101000 64536\n");
});

test("keep-id of an id beyond the range leaves a gap", () => {
  assert.equal(mapText(mapAround(70000, 70000, RANGE)), "0 100000 65536\n70000 70000 1\n");
});

test("several ranges follow each other, split where the own id lies", () => {
  const ranges = [{ start: 5000, count: 10 }, { start: 9000, count: 10 }];
  assert.equal(mapText(mapAround(1000, 12, ranges)), "0 5000 10\n10 9000 2\n12 1000 1\n13 9002 8\n");
  assert.equal(mapText(mapAround(1000, 10, ranges)), "0 5000 10\n10 1000 1\n11 9000 10\n");
});

test("a map without the own id has the ranges one behind the other, and the own id can be added behind them", () => {
  const map = mapWithoutOwn([{ start: 5000, count: 10 }, { start: 9000, count: 10 }]);
  assert.equal(mapText(map), "0 5000 10\n10 9000 10\n");
  assert.equal(mapText(addOwn(map, 1000)), "0 5000 10\n10 9000 10\n20 1000 1\n");
  assert.equal(addOwn(map, 9003), map);
});

test("an outside id is found inside", () => {
  const map = mapAround(1000, 3, RANGE);
  assert.equal(insideId(map, 1000), 3);
  assert.equal(insideId(map, 100002), 2);
  assert.equal(insideId(map, 100003), 4);
  assert.equal(insideId(map, 999), undefined);
});

test("an inside id is found outside", () => {
  const map = mapAround(1000, 0, RANGE);
  assert.equal(outsideId(map, 0), 1000);
  assert.equal(outsideId(map, 33), 100032);
  assert.equal(outsideId(map, 70000), undefined);
});

test("a map has a name that is a directory's", () => {
  const map = mapAround(1000, 0, RANGE);
  assert.equal(mapName({ uid: map, gid: map }), "0-1000-1_1-100000-65536");
  assert.equal(mapName({ uid: mapAround(1000, 0, []), gid: mapAround(1000, 0, []) }), "single");
  assert.equal(mapName({ uid: mapAround(1000, 1000, []), gid: mapAround(1000, 1000, []) }), "single");
});

test("A-091 of a subordinate file only sound lines of this user count", () => {
  const text = [
    "alice:100000:65536",
    "1000:300000:10",
    "bob:1:65536",
    "alice:0:10", // the machine's root
    "alice:4294967295:1", // no id
    "alice:4294967290:100",
    "alice:-5:10",
    "alice:165000:10", // overlaps the first
    "alice:1e3:10",
    "alice:400000:10:x",
    "",
  ].join("\n");
  assert.deepEqual(parseSubordinateFile(text, "alice", 1000), [{ start: 100000, count: 65536 }, {
    start: 300000,
    count: 10,
  }]);
});

test("A-091 a hundred thousand lines are read in one pass", () => {
  const text = Array.from({ length: 100_000 }, (_, i) => `alice:${100000 + i}:1`).join("\n");
  assert.ok(parseSubordinateFile(text, "alice", 1000).length <= 340);
});

test("C-063 the output of getsubids gives ranges", () => {
  assert.deepEqual(parseGetsubids("0: alice 100000 65536\n1: alice 300000 10\n"), [
    { start: 100000, count: 65536 },
    { start: 300000, count: 10 },
  ]);
});
