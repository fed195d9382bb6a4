import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { layerPaths } from "./layers.ts";
import { needsSettling, settleLayers } from "./settle.ts";
import { listLayer, makeTestLayers } from "./test_layer.ts";

test("a directory that was made up gets the mode and time of the layer below", async () => {
  using t = makeTestLayers();
  const base = await t.store([["usr", "directory", { mode: 0o711, mtimeSeconds: 5 }], ["usr/bin", "directory", {
    mode: 0o1777,
    mtimeSeconds: 6,
  }]]);
  const top = await t.store([["usr/bin/tool", "file", {}, "x"], ["new/file", "file"]]);
  assert.ok(needsSettling(t.layers, [top.diffId, base.diffId]));
  settleLayers(t.layers, [top.diffId, base.diffId]);
  assert.ok(!needsSettling(t.layers, [top.diffId, base.diffId]));
  assert.ok(!needsSettling(t.layers, [base.diffId]));
  const { diff } = layerPaths(t.layers, top.diffId);
  assert.deepEqual(listLayer(diff), [
    "new/ 755",
    'new/file 644 ""',
    "usr/ 711",
    "usr/bin/ 1777",
    'usr/bin/tool 644 "x"',
  ]);
  assert.equal(statSync(join(diff, "usr")).mtimeMs, 5000);
  assert.equal(statSync(join(diff, "usr/bin")).mtimeMs, 6000);
});

test("C-006 a whiteout in a directory of the layers below gets it, and one of something that nobody has stays nothing", async () => {
  using t = makeTestLayers();
  const base = await t.store([["etc", "directory", { mode: 0o750, mtimeSeconds: 5 }], ["etc/motd", "file"], [
    "var/gone/x",
    "file",
  ]]);
  const middle = await t.store([[".wh.var", "file"]]);
  const top = await t.store([["etc/.wh.motd", "file"], ["usr/x/y/.wh.z", "file"], ["var/gone/.wh.x", "file"], [
    "etc/.wh.never",
    "file",
  ]]);
  settleLayers(t.layers, [top.diffId, middle.diffId, base.diffId]);
  const { diff } = layerPaths(t.layers, top.diffId);
  assert.deepEqual(listLayer(diff), ["etc/ 750", "etc/motd whiteout"]);
  assert.equal(statSync(join(diff, "etc")).mtimeMs, 5000);
});

test("a directory that hides what is below keeps its own mode", async () => {
  using t = makeTestLayers();
  const base = await t.store([["a", "directory", { mode: 0o700 }], ["a/old", "file"]]);
  const top = await t.store([[".wh.a", "file"], ["a/new", "file"]]);
  settleLayers(t.layers, [top.diffId, base.diffId]);
  assert.deepEqual(listLayer(layerPaths(t.layers, top.diffId).diff), ["a/ 755", 'a/new 644 ""']);
});
