import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Digest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { findRootDirectory, parseDriverName, planRootfs, visibleLayers } from "./driver.ts";
import { layerPaths } from "./layers.ts";
import { chooseDriver, loadDriver, probeFileSystem } from "./probe.ts";
import { makeTestLayers } from "./test_layer.ts";

const PLACES = { upper: "/c/upper", work: "/c/work", merged: "/c/merged", copy: "/c/root", volatile: true };

test("drivers of docker that need root are refused with what to use instead", () => {
  assert.equal(parseDriverName("overlay2"), "overlay");
  assert.equal(parseDriverName("fuse-overlayfs"), "fuse-overlayfs");
  for (const name of ["aufs", "devicemapper", "zfs", "btrfs"]) {
    assert.throws(() => parseDriverName(name), (error) => {
      return error instanceof DugoutError && error.code === "DRIVER_UNKNOWN" && error.message.includes(name) &&
        error.hint!.startsWith("Use overlay");
    });
  }
  assert.throws(
    () => parseDriverName("\x1b[2J"),
    (error) => error instanceof DugoutError && !error.message.includes("\x1b"),
  );
});

test("a root file system is planned for each driver from layers, topmost first", async () => {
  using t = makeTestLayers();
  const base = (await t.store([["a", "file"]])).diffId;
  const top = (await t.store([["b", "file"]])).diffId;
  const lowers = [top, base].map((diffId) => layerPaths(t.layers, diffId).diff);
  const { upper, work, merged } = PLACES;
  assert.deepEqual(planRootfs({ name: "overlay" }, t.layers, [top, base], PLACES), {
    kind: "overlay",
    lowers,
    upper,
    work,
    merged,
    volatile: true,
  });
  const fuse = { name: "fuse-overlayfs", program: "/usr/bin/fuse-overlayfs" } as const;
  assert.deepEqual(planRootfs(fuse, t.layers, [top, base], PLACES), {
    kind: "fuse-overlayfs",
    program: fuse.program,
    lowers,
    upper,
    work,
    merged,
  });
  assert.deepEqual(planRootfs({ name: "vfs" }, t.layers, [top, base], PLACES), { kind: "directory", path: "/c/root" });
  assert.deepEqual(planRootfs({ name: "overlay" }, t.layers, [], PLACES), { kind: "directory", path: "/c/upper" });
  const missing = `sha256:${"0".repeat(64)}` as Digest;
  assert.throws(() => planRootfs({ name: "overlay" }, t.layers, [missing], PLACES), { code: "LAYER_UNKNOWN" });
});

test("C-129 a layer that occurs several times is laid once, and none below an opaque root", async () => {
  using t = makeTestLayers();
  const [base, empty, opaque] = [
    (await t.store([["a", "file"]])).diffId,
    (await t.store([])).diffId,
    (await t.store([[".wh..wh..opq", "file"], ["b", "file"]])).diffId,
  ];
  assert.deepEqual(visibleLayers(t.layers, [empty, base, empty, base, empty]), [empty, base]);
  assert.deepEqual(visibleLayers(t.layers, [empty, opaque, base]), [empty, opaque]);
});

test("the root's mode is that of the topmost layer that says anything about it", async () => {
  using t = makeTestLayers();
  const base = (await t.store([[".", "directory", { mode: 0o711 }]])).diffId;
  const top = (await t.store([["b", "file"]])).diffId;
  assert.equal(findRootDirectory(t.layers, [top, base]), layerPaths(t.layers, base).diff);
  assert.equal(findRootDirectory(t.layers, [top]), undefined);
});

test("the first driver that works is chosen, and the reason tells why not the others; nothing is left behind", async () => {
  using t = makeTestLayers();
  const root = join(t.path, "root");
  const before = readdirSync(root);
  const traits = probeFileSystem(root);
  const tried: string[] = [];
  const failing = {
    tryRootfs: (plan: { kind: string }) => {
      tried.push(plan.kind);
      return "mount overlay: EPERM";
    },
  };
  const none = await chooseDriver(root, undefined, failing);
  assert.deepEqual(none.driver, { name: "vfs" });
  assert.match(none.reason, /overlay: /);
  const works = await chooseDriver(root, undefined, { tryRootfs: () => undefined });
  assert.equal(works.driver.name, traits.whiteouts && traits.xattrs ? "overlay" : "vfs");
  assert.deepEqual((await chooseDriver(root, "vfs", failing)).driver, { name: "vfs" });
  await assert.rejects(chooseDriver(root, "overlay", failing), { code: "DRIVER_UNFIT" });
  assert.deepEqual(readdirSync(root), before);
});

test("the choice is tried, and told, once for each store and driver, and remembered", async () => {
  using t = makeTestLayers();
  const root = join(t.path, "root");
  let tries = 0;
  const host = { tryRootfs: () => void tries++ };
  const first = await loadDriver(root, t.path, undefined, host);
  assert.deepEqual(await loadDriver(root, t.path, undefined, host), first);
  assert.ok(tries <= 1);
  assert.equal((await loadDriver(root, t.path, "vfs", host)).driver.name, "vfs");
  const other = join(t.path, "other");
  mkdirSync(other);
  const told: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (const [at, path] of [root, other].entries()) {
      await loadDriver(path, t.path, undefined, host, () => told.push(String(at)));
    }
  }
  assert.deepEqual(told, ["1"]);
});
