import assert from "node:assert/strict";
import test from "node:test";
import { fromText } from "#tar/bytes.ts";
import { type CopyDestination, planCopy, splitCopyPath } from "./copy_rules.ts";

const FILE = { isDirectory: false, base: fromText("f"), isContent: false };
const DIRECTORY = { isDirectory: true, base: fromText("d"), isContent: false };
const CONTENT = { ...DIRECTORY, isContent: true };
const MISSING: CopyDestination = { kind: "missing", isAsserted: false };
const ASSERTED: CopyDestination = { kind: "missing", isAsserted: true };
const BESIDE = { where: "beside" };

test("C-085 the table of docker's reference for cp: source by destination", () => {
  const rows = [
    [FILE, MISSING, BESIDE],
    [FILE, ASSERTED, /no such directory/],
    [FILE, { kind: "file" }, BESIDE],
    [FILE, { kind: "directory" }, { where: "inside", name: "f" }],
    [DIRECTORY, MISSING, BESIDE],
    [DIRECTORY, ASSERTED, BESIDE],
    [DIRECTORY, { kind: "file" }, /Cannot copy a directory/],
    [DIRECTORY, { kind: "directory" }, { where: "inside", name: "d" }],
    [CONTENT, MISSING, BESIDE],
    [CONTENT, ASSERTED, BESIDE],
    [CONTENT, { kind: "file" }, /Cannot copy a directory/],
    [CONTENT, { kind: "directory" }, { where: "inside", name: "." }],
  ] as const;
  for (const [source, destination, expected] of rows) {
    if (expected instanceof RegExp) assert.throws(() => planCopy(source, destination, "x"), expected);
    else assert.deepEqual(planCopy(source, destination, "x"), expected);
  }
});

test("a path is taken apart into its parent, its name and what its end says", () => {
  const split = (path: string) => Object.values(splitCopyPath(fromText(path)));
  assert.deepEqual(split("/a/b"), ["b", "/a", false, false]);
  assert.deepEqual(split("/a/b/"), ["b", "/a", false, true]);
  assert.deepEqual(split("/a/b/."), ["b", "/a", true, true]);
  assert.deepEqual(split("/"), [".", "/", true, true]);
  assert.deepEqual(split("/b"), ["b", "/", false, false]);
});
