/**
 * Runs on a tmpfs of 4 MB that is full: what has to say so says so, what frees space works.
 *
 *     full_disk_child.ts DIR
 */

import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync, readFileSync, statfsSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { NO_LAYERS } from "#image/collect.ts";
import { getImage } from "#image/find.ts";
import { importImage } from "#image/import.ts";
import { listImages } from "#image/list.ts";
import { loadArchive } from "#image/load.ts";
import { pruneImages } from "#image/prune.ts";
import { removeImage } from "#image/remove.ts";
import { saveImages } from "#image/save.ts";
import { tagImage } from "#image/tag.ts";
import { addTestImage, NOW } from "#image/testing.ts";
import { hashBytes } from "#oci/digest.ts";
import { listBlobs, openContentStore } from "#storage/content.ts";
import { openIngest, StagedBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { makeBytes } from "#storage/test_store.ts";
import { craftTar } from "#tar/testing.ts";

type Coded = Error & { code?: string };

const [dir = ""] = process.argv.slice(2);
const root = join(dir, "root");
const platform = { os: "linux", architecture: "amd64" };

function fill(): void {
  const fd = openSync(join(dir, "ballast"), "a");
  const zeros = new Uint8Array(65_536);
  for (let size = zeros.length; size >= 1;) {
    try {
      writeSync(fd, zeros, 0, size);
    } catch (error) {
      if ((error as Coded).code !== "ENOSPC") throw error;
      size = Math.floor(size / 2);
    }
  }
  closeSync(fd);
  const { bavail } = statfsSync(dir);
  assert.equal(bavail, 0);
}

function isFull(error: Coded): boolean {
  assert.equal(error.code, "ENOSPC", String(error.stack));
  assert.match(error.message, /the file system ".+" is full: .+ more needed, .+ free/);
  return true;
}

const store = openContentStore(root);
const bytes = makeBytes(3_000_000);
const want = { digest: hashBytes(bytes), size: bytes.length };

// while writing: others take the space that was there at the beginning
{
  using lease = openLease(store);
  using ingest = await openIngest(lease, want);
  ingest!.write(bytes.subarray(0, 500_000));
  fill();
  assert.throws(() => ingest!.write(bytes.subarray(500_000)), isFull);
}
unlinkSync(join(dir, "ballast"));
// what came is kept, and the next one goes on there
{
  using lease = openLease(store);
  using ingest = await openIngest(lease, want);
  assert.ok(ingest!.offset >= 500_000);
  ingest!.write(bytes.subarray(ingest!.offset));
  await ingest!.commit();
}
const filter = { labels: [], references: [] };
const prune = () => pruneImages(store, { nowMs: NOW, all: false, filter, isUsed: () => false, shelf: NO_LAYERS });
await prune();
assert.deepEqual(listBlobs(store), []);

await addTestImage(store, "a:1", { layers: ["a"] });
await addTestImage(store, "b:1", { layers: ["b"] });
await addTestImage(store, undefined, { layers: ["dangling"] });
const archive: Uint8Array[] = [];
for await (const piece of saveImages(store, ["a:1"], {})) archive.push(piece.slice());
const big = craftTar([["big", "file", {}, bytes]]);
// the disk is too small, or full: nothing of what failed stays
await assert.rejects(importImage(store, [big, big], { nowMs: NOW, platform }), isFull);
fill();
assert.throws(() => new StagedBlob(openLease(store), "x").write(bytes), isFull);
await assert.rejects(importImage(store, [big], { nowMs: NOW, platform }), isFull);
await assert.rejects(loadArchive(store, [craftTar([["x", "file", {}, bytes]])], { nowMs: NOW }), isFull);
await assert.rejects(tagImage(store, "a:1", "c:1", { nowMs: NOW }), isFull);

// C-051: what lists and frees works with nothing free
assert.equal(listImages(openContentStore(root)).images.length, 3);
await removeImage(store, "b:1", { nowMs: NOW, usersOf: () => [], shelf: NO_LAYERS });
await prune();
assert.deepEqual(listImages(store).images.map((image) => image.names), [["docker.io/library/a:1"]]);
assert.equal(listBlobs(store).length, 3);
unlinkSync(join(dir, "ballast"));
await tagImage(store, "a:1", "c:1", { nowMs: NOW });
assert.equal(JSON.parse(readFileSync(join(store.path, "index.json"), "utf8")).manifests.length, 2);
assert.equal((await loadArchive(store, archive, { nowMs: NOW })).length, 1);
assert.equal(getImage(store, "a:1").names.length, 2);
// the staged file of above belongs to this process, which lives
assert.ok(readdirSync(join(store.path, "ingest")).every((name) => /\.(?:stage|lease)$/.test(name)));
process.stdout.write("done\n");
