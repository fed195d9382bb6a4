import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import zlib from "node:zlib";
import type { Digest } from "#oci/digest.ts";
import { type ByteString, fromText } from "#tar/bytes.ts";
import { concat, craftTar } from "#tar/testing.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { LayerError } from "./layer_error.ts";
import { hasLayer, layerPaths, listLayers, lockLayer, readLayerRecord, removeLayer, sweepLayers } from "./layers.ts";
import { formatMark, ownMark } from "./owner_mark.ts";
import { listLayer, makeTestLayers, type TestLayers } from "./test_layer.ts";
import { unpackLayer } from "./unpack.ts";

const ARCHIVE = craftTar([
  ["etc", "directory"],
  ["etc/shadow", "file", { gid: 42 }, "secret"],
  ["etc/.wh.motd", "file"],
  ["odd\xff", "file", { uid: 5 }, "x"],
]);
const DIFF_ID = digestOf(ARCHIVE);

function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

function write(t: TestLayers, name: string, bytes: Uint8Array): string {
  const path = join(t.path, name);
  writeFileSync(path, bytes);
  return path;
}

test("a layer is unpacked once, under its diff-id, with its record beside it, for the user alone", async () => {
  using t = makeTestLayers();
  const blob = write(t, "blob", zlib.gzipSync(ARCHIVE));
  const plan = { layers: t.layers, diffId: DIFF_ID, blob, ownership: "single" } as const;
  assert.ok(!hasLayer(t.layers, DIFF_ID));
  const progress: number[] = [];
  const first = await unpackLayer(plan, (done, total) => progress.push(done / total));
  assert.deepEqual(first, { status: "unpacked", sizeBytes: 7, entries: 4, compression: "gzip", warnings: [] });
  assert.equal(progress.at(-1), 1);
  assert.ok(hasLayer(t.layers, DIFF_ID));
  const again = await unpackLayer({ ...plan, blob: "/nowhere" });
  assert.deepEqual(again, { status: "present", sizeBytes: 7, entries: 4, warnings: [] });
  const { path, diff } = layerPaths(t.layers, DIFF_ID);
  assert.deepEqual(readdirSync(t.layers), [DIFF_ID.slice(7)]);
  assert.deepEqual(listLayers(t.layers), [DIFF_ID]);
  assert.ok(existsSync(path));
  assert.equal(statSync(t.layers).mode & 0o7777, 0o700);
  assert.ok(existsSync(join(diff, "etc/shadow")));
  const record = readLayerRecord(t.layers, DIFF_ID)!;
  assert.deepEqual([...record.paths], [["etc/shadow", { gid: 42 }], ["odd\xff", { uid: 5 }]]);
  assert.deepEqual(record.detached, []);
  assert.equal(removeLayer(t.layers, DIFF_ID), true);
  assert.equal(removeLayer(t.layers, DIFF_ID), false);
  assert.deepEqual(readdirSync(t.layers), []);
});

test("C-015 C-016 plain, gzip in two members, and zstd with a skippable frame make the same layer", async () => {
  const skippable = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]);
  const forms = [
    ARCHIVE,
    concat([zlib.gzipSync(ARCHIVE.subarray(0, 700)), zlib.gzipSync(ARCHIVE.subarray(700))]),
    concat([skippable, zlib.zstdCompressSync(ARCHIVE)]),
  ];
  for (const bytes of forms) {
    using t = makeTestLayers();
    const blob = write(t, "blob", bytes);
    await unpackLayer({ layers: t.layers, diffId: DIFF_ID, blob, ownership: "single" });
    assert.equal(readLayerRecord(t.layers, DIFF_ID)?.entries, 4);
  }
});

test("A-010 a layer that is refused says why, and leaves nothing", async () => {
  using t = makeTestLayers();
  const gzip = zlib.gzipSync(ARCHIVE);
  const wrongTrailer = Uint8Array.from(gzip);
  wrongTrailer[gzip.length - 6]! ^= 1;
  const cases: [string, Uint8Array, string][] = [
    ["random", seededRandom(3).bytes(5000), "LAYER_CORRUPT"],
    ["cut gzip", gzip.subarray(0, gzip.length - 20), "LAYER_CORRUPT"],
    ["wrong trailer", wrongTrailer, "LAYER_CORRUPT"],
    ["cut zstd", zlib.zstdCompressSync(ARCHIVE).subarray(0, 60), "LAYER_CORRUPT"],
    ["empty", new Uint8Array(0), "LAYER_CORRUPT"],
    ["one block of zeros", new Uint8Array(512), "LAYER_DIGEST"],
    ["cut archive", ARCHIVE.subarray(0, 1026), "LAYER_CORRUPT"],
    ["another archive", craftTar([["other", "file"]]), "LAYER_DIGEST"],
    ["outside", craftTar([["../x", "file"]]), "LAYER_ENTRY"],
    ["xz", new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0]), "LAYER_UNSUPPORTED"],
  ];
  for (const [name, bytes, code] of cases) {
    const blob = write(t, "blob", bytes);
    const error: unknown = await unpackLayer({ layers: t.layers, diffId: DIFF_ID, blob, ownership: "single" })
      .catch((error) => error);
    assert.ok(error instanceof LayerError, `${name}: ${error}`);
    assert.equal(error.code, code, name);
    assert.deepEqual(readdirSync(t.layers), [], name);
  }
});

test("A-010 a header that promises 10 GB and then nothing is refused at once", async () => {
  using t = makeTestLayers();
  const archive = craftTar([["big", "file"]]);
  archive.set(new TextEncoder().encode("112402762000"), 124);
  archive.fill(0x20, 148, 156);
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  archive.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  await assert.rejects(t.unpack(archive), { code: "truncated" });
});

test("A-011 names that occur in the store are only names when a layer has them", async () => {
  using t = makeTestLayers();
  const names = [
    "diff",
    "record.json",
    "odd",
    "rootless",
    "upper",
    "work",
    "lock",
    "index.json",
    "oci-layout",
    "config.json",
  ];
  const { diffId } = await t.store([
    ...names.map((name) => [name, "file", {}, "the image's"] as [string, "file", object, string]),
    ...names.map((name) => [`in/${name}`, "symlink", { linkPath: fromText(t.canary) }] as [string, "symlink", object]),
  ]);
  const record = readLayerRecord(t.layers, diffId)!;
  assert.equal(record.entries, 2 * names.length);
  const { diff, path } = layerPaths(t.layers, diffId);
  assert.deepEqual(readdirSync(path).sort(), ["diff", "odd", "record.json", "rootless"]);
  for (const name of names) assert.equal(readFileSync(join(diff, name), "utf8"), "the image's");
  assert.deepEqual(readdirSync(t.canary), ["file"]);
});

test("A-012 what image files would be with other modes above them: the store is narrowed at each start", async () => {
  using t = makeTestLayers();
  await t.store([["su", "file", { mode: 0o4755 }, "x"]]);
  assert.equal(statSync(t.layers).mode & 0o7777, 0o700);
  assert.equal(statSync(join(t.layers, "..")).mode & 0o7777, 0o700);
  assert.equal(statSync(join(t.layers, "../..")).mode & 0o7777, 0o700);
});

test("C-046 several at once: one unpacks, all have the layer", async () => {
  using t = makeTestLayers();
  const blob = write(t, "blob", zlib.gzipSync(ARCHIVE));
  const plan = { layers: t.layers, diffId: DIFF_ID, blob, ownership: "single" } as const;
  const results = await Promise.all(Array.from({ length: 8 }, () => unpackLayer(plan)));
  assert.equal(results.filter(({ status }) => status === "unpacked").length, 1);
  assert.deepEqual(readdirSync(t.layers), [DIFF_ID.slice(7)]);
});

test("C-046 where there are no locks the first rename wins, and the others leave nothing", async () => {
  using t = makeTestLayers();
  const first = await lockLayer(t.layers, DIFF_ID, undefined, () => "unsupported");
  const second = await lockLayer(t.layers, DIFF_ID, undefined, () => "unsupported");
  assert.ok(first !== undefined && second !== undefined);
  first[Symbol.dispose]();
  second[Symbol.dispose]();
  assert.deepEqual(readdirSync(t.layers), []);
});

test("C-046 what a killed process left is removed by the next that unpacks, and by a sweep", async () => {
  using t = makeTestLayers();
  const child = spawn("sleep", ["0"]);
  const dead = { ...ownMark(), pid: child.pid! };
  await new Promise((resolve) => child.on("exit", resolve));
  const leave = (hex: string, mark = dead) => {
    const name = `${hex}.in.${formatMark(mark)}.abc.tmp`;
    mkdirSync(join(t.layers, name, "diff/d"), { recursive: true });
    writeFileSync(join(t.layers, name, "diff/d/file"), "half");
    return name;
  };
  leave(DIFF_ID.slice(7));
  writeFileSync(join(t.layers, `${DIFF_ID.slice(7)}.lock`), "");
  const blob = write(t, "blob", ARCHIVE);
  await unpackLayer({ layers: t.layers, diffId: DIFF_ID, blob, ownership: "single" });
  assert.deepEqual(readdirSync(t.layers), [DIFF_ID.slice(7)]);

  leave("f".repeat(64));
  writeFileSync(join(t.layers, `${"f".repeat(64)}.lock`), "");
  const living = leave("e".repeat(64), ownMark());
  const foreign = leave("d".repeat(64), { ...dead, host: "0123456789ab" });
  assert.equal(sweepLayers(t.layers), 2);
  assert.deepEqual(readdirSync(t.layers).sort(), [DIFF_ID.slice(7), foreign, living].sort());
});

test("an unpacking that is no longer wanted stops and leaves nothing", async () => {
  using t = makeTestLayers();
  const blob = write(t, "blob", zlib.gzipSync(ARCHIVE));
  const reason = new Error("not wanted");
  const plan = { layers: t.layers, diffId: DIFF_ID, blob, ownership: "single" } as const;
  await assert.rejects(unpackLayer(plan, undefined, AbortSignal.abort(reason)), reason);
  assert.deepEqual(readdirSync(t.layers), []);
});

test("C-129 an empty layer is a layer", async () => {
  using t = makeTestLayers();
  const { result, diffId } = await t.store([]);
  assert.deepEqual({ ...result, compression: "none" }, {
    status: "unpacked",
    sizeBytes: 0,
    entries: 0,
    compression: "none",
    warnings: [],
  });
  assert.deepEqual(listLayer(layerPaths(t.layers, diffId).diff), []);
});

test("a layer whose record is damaged is named", async () => {
  using t = makeTestLayers();
  const { diffId } = await t.store([["f", "file"]]);
  truncateSync(layerPaths(t.layers, diffId).record, 20);
  assert.throws(() => readLayerRecord(t.layers, diffId), { code: "STORE_DAMAGED" });
});

test("C-006 what leans on the layers below is kept in the record", async () => {
  using t = makeTestLayers();
  const { diffId } = await t.store([["usr/x/.wh.y", "file"], ["opt/made/up/file", "file"]]);
  const record = readLayerRecord(t.layers, diffId)!;
  assert.deepEqual(record.detached, ["usr/x/y"] as ByteString[]);
  assert.deepEqual(record.madeUp, ["opt", "opt/made", "opt/made/up"] as ByteString[]);
});
