import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_PATH } from "#linux/file.ts";
import { makeDirectory, openName } from "#linux/tree.ts";
import { removePath } from "./remove_tree.ts";

function makeDir(): { path: string; [Symbol.dispose](): void } {
  const path = mkdtempSync(join(tmpdir(), "dugout-remove-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test("files, links and trees are removed; what is not there is no error", () => {
  using dir = makeDir();
  const at = (name: string) => join(dir.path, name);
  mkdirSync(at("t/a/b/c"), { recursive: true });
  mkdirSync(at("t/empty"));
  writeFileSync(at("t/a/-rf"), "x");
  writeFileSync(Buffer.from(at("t/a/\xff\n*"), "latin1"), "x");
  linkSync(at("t/a/-rf"), at("kept"));
  writeFileSync(at("file"), "x");
  symlinkSync("kept", at("link"));
  for (const name of ["t", "file", "link"]) assert.equal(removePath(at(name)), true, name);
  assert.equal(removePath(at("t")), false);
  assert.equal(removePath(at("none/below")), false);
  assert.deepEqual(readdirSync(dir.path), ["kept"]);
});

test("A-093 links in a tree are removed, and what they lead to is not looked at", () => {
  using dir = makeDir();
  const at = (name: string) => join(dir.path, name);
  mkdirSync(at("canary"), { mode: 0o700 });
  writeFileSync(at("canary/file"), "canary");
  mkdirSync(at("t/d"), { recursive: true });
  symlinkSync(at("canary"), at("t/absolute"));
  symlinkSync("../../canary", at("t/d/relative"));
  symlinkSync("/proc/self/root", at("t/magic"));
  const before = statSync(at("canary")).mtimeMs;
  removePath(at("t"));
  assert.deepEqual(readdirSync(dir.path), ["canary"]);
  assert.equal(readFileSync(at("canary/file"), "utf8"), "canary");
  assert.equal(statSync(at("canary")).mtimeMs, before);
});

test("C-014 directories that their owner may not enter or write are removed", () => {
  using dir = makeDir();
  for (const mode of [0o000, 0o100, 0o400, 0o500, 0o555]) {
    const tree = join(dir.path, "t");
    mkdirSync(join(tree, "d/e"), { recursive: true });
    writeFileSync(join(tree, "d/file"), "x");
    writeFileSync(join(tree, "d/e/file"), "x");
    chmodSync(join(tree, "d/e"), mode);
    chmodSync(join(tree, "d"), mode);
    chmodSync(tree, mode);
    assert.equal(removePath(tree), true);
    assert.ok(!existsSync(tree), mode.toString(8));
  }
});

test(
  "A-009 4,000 directories in one another are removed, with a bounded number of descriptors",
  { timeout: 120_000 },
  () => {
    using dir = makeDir();
    let fd = openName(AT_FDCWD, dir.path, O_PATH | O_DIRECTORY) as Fd;
    for (let depth = 0; depth < 4000; depth++) {
      const name = depth === 0 ? "deep" : "d";
      assert.equal(makeDirectory(fd, name, 0o700), 0);
      const next = openName(fd, name, O_PATH | O_DIRECTORY) as Fd;
      close(fd);
      fd = next;
    }
    close(fd);
    removePath(join(dir.path, "deep"));
    assert.deepEqual(readdirSync(dir.path), []);
  },
);

test("a directory with many names is read in parts and removed whole", () => {
  using dir = makeDir();
  mkdirSync(join(dir.path, "t"));
  for (let i = 0; i < 3000; i++) writeFileSync(join(dir.path, "t", `${"n".repeat(60)}${i}`), "");
  for (let i = 0; i < 300; i++) mkdirSync(join(dir.path, "t", `d${i}`));
  removePath(join(dir.path, "t"));
  assert.deepEqual(readdirSync(dir.path), []);
});
