import assert from "node:assert/strict";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { measureTree } from "./measure_tree.ts";

test("a tree is the sum of its files, each once, and links are not followed", () => {
  const root = mkdtempSync(join(tmpdir(), "dugout-measure-"));
  try {
    assert.deepEqual(measureTree(root), { sizeBytes: 0, files: 0 });
    mkdirSync(join(root, "a/b"), { recursive: true });
    writeFileSync(join(root, "a/b/f"), "x".repeat(1000));
    linkSync(join(root, "a/b/f"), join(root, "g"));
    writeFileSync(join(root, "h"), "y".repeat(10));
    assert.deepEqual(measureTree(root), { sizeBytes: 1010, files: 2 });
    symlinkSync("/etc", join(root, "l"));
    assert.deepEqual(measureTree(root), { sizeBytes: 1014, files: 3 });
  } finally {
    rmSync(root, { recursive: true });
  }
});
