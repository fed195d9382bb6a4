import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { ByteString } from "#tar/bytes.ts";
import { fillVolumes, isFilled, isSurelyMissing, markFilled } from "./fill_volume.ts";
import { layerPaths } from "./layers.ts";
import { listLayer, makeTestLayers, type Members, type TestLayers } from "./test_layer.ts";
import { makeVolume, openVolumes } from "./volumes.ts";

const NONE: ReadonlyMap<string, string> = new Map();

function newVolume(t: TestLayers, name: string) {
  return makeVolume(openVolumes(join(t.path, "root")), { name, labels: NONE, options: NONE }).volume;
}

/** Layers, lowest first as one writes them. @returns Their directories, topmost first. */
async function layersOf(t: TestLayers, ...archives: Members[]): Promise<string[]> {
  const directories: string[] = [];
  for (const archive of archives) directories.unshift(layerPaths(t.layers, (await t.store(archive)).diffId).diff);
  return directories;
}

const LAYERS: Members[] = [
  [["d", "directory", { mode: 0o755 }], ["d/a", "file", {}, "lower"], ["d/gone", "file"], ["d/s", "directory"], [
    "d/s/x",
    "file",
  ]],
  [
    ["d", "directory", { mode: 0o1770 }],
    ["d/a", "file", {}, "upper"],
    ["d/.wh.gone", "file"],
    [
      "d/s",
      "directory",
    ],
    ["d/s/.wh..wh..opq", "file"],
    ["d/s/y", "file"],
    ["d/l", "symlink", { linkPath: "/canary" as ByteString }],
  ],
];

test("C-083 an empty volume gets the content of all layers, as the container would see it, and the mode", async () => {
  using t = makeTestLayers();
  const volume = newVolume(t, "data");
  await fillVolumes(await layersOf(t, ...LAYERS), [{ volume: volume.path, target: "/d", copies: true }]);
  assert.deepEqual(listLayer(volume.data), ['a 644 "upper"', "l -> /canary", "s/ 755", 's/y 644 ""']);
  assert.equal(statSync(volume.data).mode & 0o7777, 0o1770);
  assert.ok(isFilled(volume.path));
  assert.deepEqual(readdirSync(volume.path).sort(), ["_data", "filled", "lock", "volume.json"]);
});

test("C-083 a volume is never filled again, and never when there is something in it", async () => {
  using t = makeTestLayers();
  const directories = await layersOf(t, ...LAYERS);
  const fill = (path: string) => fillVolumes(directories, [{ volume: path, target: "/d", copies: true }]);
  const used = newVolume(t, "used");
  writeFileSync(join(used.data, "mine"), "");
  await fill(used.path);
  assert.deepEqual(readdirSync(used.data), ["mine"]);
  rmSync(join(used.data, "mine"));
  await fill(used.path);
  assert.deepEqual(readdirSync(used.data), []);

  const marked = newVolume(t, "marked");
  await markFilled(marked.path);
  await fill(marked.path);
  assert.deepEqual(readdirSync(marked.data), []);
});

test("C-084 nocopy takes the mode and no content", async () => {
  using t = makeTestLayers();
  const volume = newVolume(t, "data");
  await fillVolumes(await layersOf(t, ...LAYERS), [{ volume: volume.path, target: "/d", copies: false }]);
  assert.deepEqual(readdirSync(volume.data), []);
  assert.equal(statSync(volume.data).mode & 0o7777, 0o1770);
});

test("what a killed filling left is removed, and the next one fills", async () => {
  using t = makeTestLayers();
  const volume = newVolume(t, "data");
  mkdirSync(join(volume.path, "fill.0123456789ab"));
  writeFileSync(join(volume.path, "fill.0123456789ab/half"), "");
  await fillVolumes(await layersOf(t, ...LAYERS), [{ volume: volume.path, target: "/d", copies: true }]);
  assert.equal(existsSync(join(volume.path, "fill.0123456789ab")), false);
  assert.equal(existsSync(join(volume.data, "a")), true);
});

test("ten fillings at once fill once", async () => {
  using t = makeTestLayers();
  const volume = newVolume(t, "data");
  const directories = await layersOf(t, ...LAYERS);
  const fills = [{ volume: volume.path, target: "/d", copies: true }];
  await Promise.all(Array.from({ length: 10 }, () => fillVolumes(directories, fills)));
  assert.deepEqual(readdirSync(volume.data).sort(), ["a", "l", "s"]);
});

test("A-032 a target behind a link to elsewhere is empty, and nothing is read there", async () => {
  using t = makeTestLayers();
  const volume = newVolume(t, "data");
  const directories = await layersOf(t, [["l", "symlink", { linkPath: t.canary as ByteString }]]);
  await fillVolumes(directories, [{ volume: volume.path, target: "/l", copies: true }]);
  assert.deepEqual(readdirSync(volume.data), []);
  await fillVolumes(directories, [{ volume: newVolume(t, "data2").path, target: "/l/file", copies: true }]);
});

test("a path of which no layer has even the first parts is surely missing; all else is left to the worker", async () => {
  using t = makeTestLayers();
  const directories = await layersOf(t, [["d", "directory"], ["d/f", "file"]], [["e", "symlink", {
    linkPath: "d" as ByteString,
  }], [".wh.d", "file"]]);
  for (const path of ["/nowhere", "/nowhere/x", "/d/none"]) {
    assert.equal(isSurelyMissing(directories, path), true, path);
  }
  for (const path of ["/d", "/e", "/", "/d/f"]) assert.equal(isSurelyMissing(directories, path), false, path);
});
