import assert from "node:assert/strict";
import { test } from "node:test";
import { mapName } from "#linux/idmap.ts";
import { parseMapName } from "#linux/idmap.ts";

test("the name of a map tells the map", () => {
  const ranges = [{ inside: 0, outside: 1000, count: 1 }, { inside: 1, outside: 100000, count: 65536 }];
  const groups = [{ inside: 0, outside: 100, count: 1 }, { inside: 1, outside: 200000, count: 65536 }];
  for (const map of [{ uid: ranges, gid: ranges }, { uid: ranges, gid: groups }]) {
    assert.deepEqual(parseMapName(mapName(map)), map);
  }
  assert.equal(mapName(parseMapName("single")!), "single");
});

test("a directory of another name is no map", () => {
  for (const name of ["", "x", "0-1", "0-1-2-3", "0-1-2__0-1-2__0-1-2", "..", "0-1-12345678901"]) {
    assert.equal(parseMapName(name), undefined, name);
  }
});
