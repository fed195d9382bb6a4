import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { close } from "#linux/file.ts";
import { readDirectory } from "#linux/directory.ts";
import type { ByteString } from "#tar/bytes.ts";
import { layerPaths } from "./layers.ts";
import { findMerged, openLayerRoots } from "./merged_tree.ts";
import { makeTestLayers, type Members, type TestLayers } from "./test_layer.ts";

const bytes = (text: string) => text as ByteString;

/** Lowest first, as one writes them. @returns What a path leads to: its kind, and of a directory the names, part by part. */
async function look(t: TestLayers, archives: readonly Members[], path: string): Promise<string> {
  const directories: string[] = [];
  for (const archive of archives) {
    const { diffId } = await t.store(archive);
    directories.unshift(layerPaths(t.layers, diffId).diff);
  }
  const roots = openLayerRoots(directories);
  try {
    const found = findMerged(roots, bytes(path));
    if (found.kind !== "directory") return found.kind;
    return found.parts.map((fd) => {
      const entries = readDirectory(fd);
      close(fd);
      assert.ok(typeof entries !== "number");
      return entries.map(({ name }) => name).sort().join(" ");
    }).join(" | ");
  } finally {
    roots.forEach(close);
  }
}

test("C-083 a directory of several layers is all their parts, topmost first", async () => {
  using t = makeTestLayers();
  const archives: Members[] = [
    [["d", "directory"], ["d/a", "file"]],
    [["other", "file"]],
    [["d", "directory"], ["d/b", "file"]],
  ];
  assert.equal(await look(t, archives, "/d"), "b | a");
  assert.equal(await look(t, archives, "d/"), "b | a");
  assert.equal(await look(t, archives, "/d/a"), "file");
  assert.equal(await look(t, archives, "/d/c"), "missing");
  assert.equal(await look(t, archives, "/d/a/x"), "missing");
  assert.equal(await look(t, archives, "/"), "d | other | d");
});

test("C-083 whiteouts and opaque directories hide what is below, also of their children", async () => {
  using t = makeTestLayers();
  const lower: Members = [["d", "directory"], ["d/s", "directory"], ["d/s/a", "file"]];
  assert.equal(await look(t, [lower, [[".wh.d", "file"]]], "/d/s"), "missing");
  assert.equal(await look(t, [lower, [["d", "directory"], ["d/.wh..wh..opq", "file"]]], "/d"), "");
  assert.equal(await look(t, [lower, [["d", "directory"], ["d/.wh..wh..opq", "file"]]], "/d/s"), "missing");
  const again: Members = [["d", "directory"], ["d/s", "directory"], ["d/s/b", "file"]];
  assert.equal(await look(t, [lower, [[".wh.d", "file"]], again], "/d/s"), "b");
  assert.equal(await look(t, [lower, [["d", "file"]]], "/d/s"), "missing");
  assert.equal(await look(t, [lower, [["d", "file"]], again], "/d/s"), "b");
});

test("A-032 links are followed within the tree, wherever they point, and never out of it", async () => {
  using t = makeTestLayers();
  const link = (name: string, to: string): Members[number] => [name, "symlink", { linkPath: bytes(to) }];
  const archives: Members[] = [
    [["d", "directory"], ["d/a", "file"], ["d/s", "directory"], ["d/s/b", "file"]],
    [
      link("outside", t.canary),
      link("up", `${"../".repeat(30)}d`),
      link("absolute", "/d/s"),
      link("chain", "absolute"),
      link("loop", "loop"),
      link("d/back", ".."),
      link("dangling", "/nowhere/at/all"),
    ],
  ];
  assert.equal(await look(t, archives, "/outside"), "missing");
  assert.equal(await look(t, archives, "/outside/file"), "missing");
  assert.equal(await look(t, archives, "/up"), "back | a s");
  assert.equal(await look(t, archives, "/chain"), "b");
  assert.equal(await look(t, archives, "/chain/../../../d/back/absolute"), "b");
  assert.equal(await look(t, archives, "/dangling"), "missing");
  assert.equal(await look(t, archives, "/../../d/s"), "b");
  await assert.rejects(look(t, archives, "/loop/x"), { code: "ELOOP" });
  assert.deepEqual(readdirSync(t.canary), ["file"]);
});
