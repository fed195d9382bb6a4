/** Several processes that remove the same trees: commands that find what a killed one left, or race for one container. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const CHILD = join(import.meta.dirname!, "remove_child.ts");
const [TREES, PROCESSES] = [300, 6];

function makeTree(path: string): string {
  for (const folder of ["a/b", "c"]) mkdirSync(join(path, folder), { recursive: true });
  for (const file of ["a/b/1", "a/2", "c/3", "4"]) writeFileSync(join(path, file), "");
  return path;
}

function removeAll(paths: readonly string[]): Promise<{ code: number | null; stderr: string }> {
  const args = process.versions["deno"] === undefined ? [CHILD] : ["run", "-A", CHILD];
  const child = spawn(process.execPath, [...args, ...paths], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (piece) => stderr += piece);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stderr })));
}

test("several processes that remove the same trees all succeed, and nothing is left", async () => {
  const dir = mkdtempSync(join(tmpdir(), "dugout-remove-"));
  try {
    const trees = Array.from({ length: TREES }, (_, index) => makeTree(join(dir, String(index))));
    const results = await Promise.all(Array.from({ length: PROCESSES }, () => removeAll(trees)));
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    assert.deepEqual(trees.filter((path) => existsSync(path)), []);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
