import assert from "node:assert/strict";
import { test } from "node:test";
import { fromText } from "./bytes.ts";
import { cleanPath, findPathFault, findTargetFault } from "./name.ts";

test("C-018 a path is made relative to the root, or refused when it leaves it", () => {
  const cases: [string, string | undefined][] = [
    ["a", "a"],
    ["a/b", "a/b"],
    ["/a//b/", "a/b"],
    ["./a/./b", "a/b"],
    ["a/../b", "b"],
    ["..a/b..", "..a/b.."],
    ["...", "..."],
    ["../x", undefined],
    ["a/../../x", undefined],
    ["/..", undefined],
    [".", ""],
    ["./", ""],
    ["/", ""],
    ["a/..", ""],
  ];
  for (const [path, clean] of cases) assert.equal(cleanPath(fromText(path)), clean, path);
});

test("A-008 A-009 names that no file system takes are found out by their bytes and lengths", () => {
  assert.equal(findPathFault(fromText("a".repeat(255))), undefined);
  assert.match(findPathFault(fromText("x/" + "a".repeat(256)))!, /256 bytes/);
  assert.match(findPathFault(fromText("a/".repeat(100_000)))!, /200000 bytes/);
  assert.match(findPathFault(fromText("a\0b"))!, /NUL/);
  assert.match(findPathFault(fromText(""))!, /empty/);
  assert.equal(findTargetFault(fromText("a".repeat(300))), undefined);
});
