import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import type { ContainerDirectory } from "../record/container_directory.ts";
import { makeTreeDirectories, planHostTree } from "./host_tree.ts";

test("a tree that has other directories than at the last start gets what they write to, and keeps what was written", () => {
  const path = mkdtempSync(join(tmpdir(), "dugout-tree-"));
  try {
    const [root, upper, work] = [join(path, "root"), join(path, "upper"), join(path, "work")];
    for (const directory of [join(root, "apart/old"), join(root, "apart/mounted"), upper, work]) {
      mkdirSync(directory, { recursive: true });
    }
    const prepare = () => {
      // something is mounted in "apart", so that its directories are parts of their own
      const parts = planHostTree(root, [join(root, "apart/mounted")], { upper, work } as ContainerDirectory);
      makeTreeDirectories(parts);
      return parts.flatMap((part) => part.kind === "overlay" ? [part] : []);
    };
    const [first] = prepare().filter((part) => part.path === "/apart/old");
    assert.ok(first);
    writeFileSync(join(first.upper, "written"), "by the container");
    rmSync(first.work, { recursive: true });
    mkdirSync(join(root, "apart/new"));
    const parts = prepare();
    assert.ok(parts.some((part) => part.path === "/apart/new"));
    for (const part of parts) assert.ok(existsSync(part.upper) && existsSync(part.work), part.path);
    assert.equal(readFileSync(join(first.upper, "written"), "utf8"), "by the container");
  } finally {
    rmSync(path, { recursive: true });
  }
});
