import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Digest } from "#oci/digest.ts";
import type { ByteString } from "#tar/bytes.ts";
import { listLayer, makeTestLayers, type Members, type TestLayers } from "./test_layer.ts";
import { buildVfsRoot } from "./vfs.ts";

type Member = Members[number];
const bytes = (text: string) => text as ByteString;

/** Makes a root of layers, lowest first as one writes them. */
async function build(t: TestLayers, ...archives: Member[][]): Promise<string> {
  const diffIds: Digest[] = [];
  for (const archive of archives) diffIds.unshift((await t.store(archive)).diffId);
  const target = join(t.path, `root${Math.random()}`);
  buildVfsRoot(t.layers, diffIds, target);
  return target;
}

test("C-004 for each pair of kinds the upper layer's entry wins, and nothing goes through the old link", async () => {
  using t = makeTestLayers();
  const kinds: Record<string, (n: number) => Member[]> = {
    file: (n) => [["x", "file", {}, `file ${n}`]],
    directory: (n) => [["x", "directory"], [`x/in${n}`, "file"]],
    symlink: (n) => [["x", "symlink", { linkPath: bytes(n === 1 ? t.canary : "elsewhere") }]],
    hardlink: (n) => [["other", "file", {}, `o${n}`], ["x", "hardlink", { linkPath: bytes("other") }]],
    fifo: () => [["x", "fifo", { mode: 0o600 }]],
  };
  const wanted: Record<string, string[]> = {
    file: ['x 644 "file 2"'],
    directory: ["x/ 755", 'x/in2 644 ""'],
    symlink: ["x -> elsewhere"],
    hardlink: ["x = other"],
    fifo: ["x fifo 600"],
  };
  for (const [before, one] of Object.entries(kinds)) {
    for (const [after, two] of Object.entries(kinds)) {
      const root = await build(t, one(1), two(2));
      const lines = listLayer(root).filter((line) => line.startsWith("x"));
      const merged = before === "directory" && after === "directory"
        ? ["x/ 755", 'x/in1 644 ""', 'x/in2 644 ""']
        : wanted[after];
      assert.deepEqual(lines, merged, `${before} then ${after}`);
      assert.deepEqual(readdirSync(t.canary), ["file"]);
    }
  }
});

test("C-001 C-002 C-006 whiteouts remove, opaque directories replace, of layers below only", async () => {
  using t = makeTestLayers();
  const root = await build(
    t,
    [["a", "file"], ["d/old", "file"], ["d/e/f", "file"], ["k/x", "file"], ["k/y", "file"], ["m/n/o", "file"]],
    [[".wh.a", "file"], ["d/new", "file"], ["d/.wh..wh..opq", "file"], ["k/.wh.x", "file"], ["m/n/.wh.o", "file"], [
      "no/.wh.p",
      "file",
    ]],
    [["b", "file", {}, "b"]],
  );
  assert.deepEqual(listLayer(root), [
    'b 644 "b"',
    "d/ 755",
    'd/new 644 ""',
    "k/ 755",
    'k/y 644 ""',
    "m/ 755",
    "m/n/ 755",
  ]);
});

test("an opaque root hides everything below", async () => {
  using t = makeTestLayers();
  assert.deepEqual(listLayer(await build(t, [["a/b", "file"]], [[".wh..wh..opq", "file"], ["c", "file"]])), [
    'c 644 ""',
  ]);
});

test("hard links, holes, modes, times and attributes are copied", async () => {
  using t = makeTestLayers();
  const xattrs = new Map([[bytes("user.a"), new Uint8Array([1])]]);
  const root = await build(t, [
    [".", "directory", { mode: 0o711, mtimeSeconds: 1 }],
    ["bin/a", "file", { mode: 0o755, mtimeSeconds: 2, xattrs }, "content"],
    ["bin/b", "hardlink", { linkPath: bytes("bin/a") }],
    ["bin", "directory", { mode: 0o1777, mtimeSeconds: 3 }],
    ["l", "symlink", { linkPath: bytes("bin/a"), mtimeSeconds: 4 }],
    ["p", "fifo", { mode: 0o622, mtimeSeconds: 5 }],
  ]);
  assert.deepEqual(listLayer(root), ["bin/ 1777", 'bin/a 755 "content"', "bin/b = bin/a", "l -> bin/a", "p fifo 622"]);
  assert.equal(statSync(root).mode & 0o7777, 0o711);
  const times = ["bin/a", "bin", "l", "p"].map((name) => lstatSync(join(root, name)).mtimeMs / 1000);
  assert.deepEqual(times, [2, 3, 4, 5]);
});

test("a layer is not changed by what is done to a copy of it", async () => {
  using t = makeTestLayers();
  const { diffId } = await t.store([["f", "file", { mode: 0o600 }, "x".repeat(100_000)]]);
  const target = join(t.path, "copy");
  buildVfsRoot(t.layers, [diffId], target);
  assert.equal(readFileSync(join(target, "f"), "utf8").length, 100_000);
  assert.notEqual(statSync(join(target, "f")).ino, statSync(join(t.layers, diffId.slice(7), "diff/f")).ino);
});

test("a root with a layer that is not there is not made at all", () => {
  using t = makeTestLayers();
  const target = join(t.path, "copy");
  assert.throws(() => buildVfsRoot(t.layers, [`sha256:${"0".repeat(64)}` as Digest], target), {
    code: "LAYER_UNKNOWN",
  });
  assert.ok(!existsSync(target));
});
