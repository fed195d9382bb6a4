import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Digest } from "#oci/digest.ts";
import { blobPath, type ContentStore, hasBlob, listBlobs } from "#storage/content.ts";
import { openIngest } from "#storage/ingest.ts";
import { holdBlob, holdDigest, openLease } from "#storage/lease.ts";
import { formatMark, ownMark } from "#storage/owner_mark.ts";
import { listIngest, makeBytes, makeTestStore } from "#storage/test_store.ts";
import { hashBytes } from "#oci/digest.ts";
import { NO_LAYERS } from "./collect.ts";
import { LIST_FILTERS, parseImageFilters, PRUNE_FILTERS } from "./filter.ts";
import { findImage } from "./find.ts";
import { listImages, shortId } from "./list.ts";
import { pruneImages, type PruneOptions } from "./prune.ts";
import { type ImageUser, removeImage } from "./remove.ts";
import { removePlatforms } from "./remove_platform.ts";
import { tagImage } from "./tag.ts";
import { addTestImage, makeLayer, makeTestShelf, nameTestTarget, NOW, putTestImage, putTestIndex } from "./testing.ts";

const NOBODY = (): ImageUser[] => [];
const PLAIN = { nowMs: NOW, usersOf: NOBODY, shelf: NO_LAYERS };

function prune(store: ContentStore, options: Partial<PruneOptions> = {}, filters: string[] = []) {
  const filter = parseImageFilters(filters, PRUNE_FILTERS, NOW);
  return pruneImages(store, { nowMs: NOW, all: false, filter, isUsed: () => false, shelf: NO_LAYERS, ...options });
}

test("rmi of the last name removes the image, its blobs and its layers", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "a", { layers: ["x", "y"] });
  const shelf = makeTestShelf([makeLayer("x").diffId, makeLayer("y").diffId, makeLayer("z").diffId]);
  const { records, freedBytes } = await removeImage(t.store, "a", { ...PLAIN, shelf });
  assert.deepEqual(records, [
    { untagged: "a:latest" },
    { deleted: id },
    { deleted: makeLayer("x").diffId },
    { deleted: makeLayer("y").diffId },
  ]);
  assert.ok(freedBytes > 2000);
  assert.deepEqual(listBlobs(t.store), []);
  assert.deepEqual([...shelf.left], [makeLayer("z").diffId]);
  assert.deepEqual(JSON.parse(readFileSync(join(t.store.path, "index.json"), "utf8")).manifests, []);
});

test("rmi of one of two names only takes the name", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "a:1");
  await tagImage(t.store, "a:1", "b:2", { nowMs: NOW });
  assert.deepEqual((await removeImage(t.store, "a:1", PLAIN)).records, [{ untagged: "a:1" }]);
  assert.equal(findImage(t.store, "b:2")?.image.id, id);
});

test("rmi by id with several names is refused without -f, and takes all with it", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "a:1");
  await tagImage(t.store, "a:1", "b:2", { nowMs: NOW });
  await assert.rejects(removeImage(t.store, shortId(id), PLAIN), { code: "IMAGE_IN_USE" });
  const { records } = await removeImage(t.store, shortId(id), { ...PLAIN, force: true });
  assert.deepEqual(records, [{ untagged: "a:1" }, { untagged: "b:2" }, { deleted: id }]);
});

test("rmi of an image that came twice, compressed differently, takes both", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "a:gz", { compression: "gzip" });
  assert.equal((await addTestImage(t.store, "a:zst", { compression: "zstd" })).id, id);
  assert.deepEqual((await removeImage(t.store, "a:gz", PLAIN)).records, [{ untagged: "a:gz" }]);
  assert.equal(findImage(t.store, "a:zst")?.image.id, id);
  await addTestImage(t.store, "a:gz", { compression: "gzip" });
  await removeImage(t.store, id, { ...PLAIN, force: true });
  assert.deepEqual(listBlobs(t.store), []);
});

test("an image that a container is made from stays, by name and by id; -f takes its name, and its id when it is stopped", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "a");
  const users: ImageUser[] = [{ id: "c".repeat(64), isRunning: true }];
  const shelf = makeTestShelf([makeLayer("a").diffId], [makeLayer("a").diffId]);
  const options = { ...PLAIN, usersOf: () => users, shelf };
  await assert.rejects(removeImage(t.store, "a", options), { code: "IMAGE_IN_USE" });
  await assert.rejects(removeImage(t.store, id, options), { code: "IMAGE_IN_USE" });
  await assert.rejects(removeImage(t.store, id, { ...options, force: true }), { code: "IMAGE_IN_USE" });
  assert.deepEqual((await removeImage(t.store, "a", { ...options, force: true })).records, [{ untagged: "a:latest" }]);
  assert.deepEqual(listImages(t.store).images.map((image) => [image.id, image.names]), [[id, []]]);
  users[0] = { id: "c".repeat(64), isRunning: false };
  await assert.rejects(removeImage(t.store, id, options), { code: "IMAGE_IN_USE" });
  assert.deepEqual((await removeImage(t.store, id, { ...options, force: true })).records, [{ deleted: id }]);
  assert.equal(shelf.left.size, 1, "the layer of a container is never removed");
});

test("C-050 blobs and layers that another image has stay", async () => {
  using t = makeTestStore();
  await addTestImage(t.store, "a", { layers: ["base", "a"] });
  const b = await addTestImage(t.store, "b", { layers: ["base", "b"] });
  const shelf = makeTestShelf([makeLayer("base").diffId, makeLayer("a").diffId, makeLayer("b").diffId]);
  await removeImage(t.store, "a", { ...PLAIN, shelf });
  assert.equal(findImage(t.store, "b")?.image.id, b.id);
  assert.deepEqual([...shelf.left], [makeLayer("base").diffId, makeLayer("b").diffId]);
});

test("C-050 what a pull has found stays until it has its name", async () => {
  using t = makeTestStore();
  const { target } = await addTestImage(t.store, "a", { layers: ["base"] });
  using lease = openLease(t.store);
  const manifest = JSON.parse(readFileSync(blobPath(t.store, target.digest), "utf8"));
  const base: Digest = manifest.layers[0].digest;
  assert.ok(await holdBlob(lease, base));
  await holdDigest(lease, makeLayer("base").diffId);
  const shelf = makeTestShelf([makeLayer("base").diffId]);
  await removeImage(t.store, "a", { ...PLAIN, shelf });
  await prune(t.store, { all: true, shelf });
  assert.ok(hasBlob(t.store, base));
  assert.equal(shelf.left.size, 1);
  lease[Symbol.dispose]();
  await prune(t.store, { shelf });
  assert.deepEqual(listBlobs(t.store), []);
  assert.equal(shelf.left.size, 0);
});

test("C-050 ten removals of one image at once: one removes it, the others say that there is none", async () => {
  using t = makeTestStore();
  await addTestImage(t.store, "a");
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => removeImage(t.store, "a", PLAIN)));
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
  for (const result of results) if (result.status === "rejected") assert.equal(result.reason.code, "IMAGE_UNKNOWN");
});

test("C-047 a damaged image, and a name whose file is broken, can be removed", async () => {
  using t = makeTestStore();
  const { target } = await addTestImage(t.store, "bad");
  writeFileSync(blobPath(t.store, target.digest), "");
  writeFileSync(join(t.store.path, "names", "docker.io%2Flibrary%2Fhalf%3Alatest.json"), "{");
  assert.deepEqual((await removeImage(t.store, "bad", PLAIN)).records, [{ untagged: "bad:latest" }]);
  assert.deepEqual((await removeImage(t.store, "half", PLAIN)).records, [{ untagged: "half" }]);
  assert.deepEqual(readdirSync(join(t.store.path, "names")), []);
  await prune(t.store);
  assert.deepEqual(listBlobs(t.store), []);
});

test("the digest of a repository goes with its last tag", async () => {
  using t = makeTestStore();
  const { target, id } = await addTestImage(t.store, "a:1");
  using lease = openLease(t.store);
  await nameTestTarget(lease, `a@${target.digest}`, target);
  lease[Symbol.dispose]();
  assert.deepEqual((await removeImage(t.store, "a:1", PLAIN)).records, [
    { untagged: "a:1" },
    { untagged: `a@${target.digest}` },
    { deleted: id },
  ]);
});

test("rmi of what is not there says so", async () => {
  using t = makeTestStore();
  await assert.rejects(removeImage(t.store, "nothing", PLAIN), { code: "IMAGE_UNKNOWN", exitCode: 1 });
});

test("prune removes images without a tag, with -a those without a container, and with filters those that fit", async () => {
  using t = makeTestStore();
  const label = (key: string) => ({ config: { Labels: new Map([[key, "1"]]) } });
  const dangling = await addTestImage(t.store, undefined, { layers: ["d"] });
  const used = await addTestImage(t.store, "used", { layers: ["u"] });
  const kept = await addTestImage(t.store, "kept", { layers: ["k"], config: label("keep") });
  const plain = await addTestImage(t.store, "plain", { layers: ["p"] });
  const young = await addTestImage(t.store, "young", { layers: ["y"], config: { created: "2026-05-31T23:00:00Z" } });
  assert.deepEqual((await prune(t.store)).records, [{ deleted: dangling.id }]);
  const isUsed = (id: Digest) => id === used.id;
  const { records } = await prune(t.store, { all: true, isUsed }, ["label!=keep", "until=24h"]);
  assert.deepEqual(records, [{ untagged: "plain:latest" }, { deleted: plain.id }]);
  const ids = listImages(t.store).images.map((image) => image.id);
  assert.deepEqual(ids.sort(), [used.id, kept.id, young.id].sort());
});

test("C-046 prune sweeps what killed processes left, and nothing of living ones", async () => {
  using t = makeTestStore();
  const ingest = join(t.store.path, "ingest");
  const dead = formatMark({ ...ownMark(), startTicks: "1" });
  writeFileSync(join(ingest, `${"a".repeat(64)}.part`), "half");
  writeFileSync(join(ingest, `0123456789abcdef.${dead}.stage`), "half");
  writeFileSync(join(ingest, `0123456789abcdef.${dead}.lease`), "");
  using lease = openLease(t.store);
  const bytes = makeBytes(100);
  using living = await openIngest(lease, { digest: hashBytes(bytes), size: 100 });
  living!.write(bytes.subarray(0, 10));
  const orphan = await putTestImage(lease);
  const { freedBytes } = await prune(t.store);
  assert.equal(freedBytes, 8);
  assert.equal(listIngest(t.store).length, 2);
  living!.write(bytes.subarray(10));
  await living!.commit();
  assert.ok(hasBlob(t.store, orphan.target.digest));
  lease[Symbol.dispose]();
  await prune(t.store);
  assert.deepEqual([listIngest(t.store), listBlobs(t.store)], [[], []]);
});

test("tag refuses a digest, and moves a name", async () => {
  using t = makeTestStore();
  const a = await addTestImage(t.store, "a", { layers: ["a"] });
  await addTestImage(t.store, "b", { layers: ["b"] });
  await assert.rejects(tagImage(t.store, "a", `c@${a.target.digest}`, { nowMs: NOW }), { code: "REFERENCE_INVALID" });
  await assert.rejects(tagImage(t.store, "nothing", "c", { nowMs: NOW }), { code: "IMAGE_UNKNOWN" });
  await tagImage(t.store, a.id, "b", { nowMs: NOW });
  assert.equal(findImage(t.store, "b")?.image.id, a.id);
  assert.equal(listImages(t.store).images.length, 2);
});

test("filters are told apart by their keys, and others are refused", () => {
  const filter = parseImageFilters(
    ["label=a=b=c", "label!=x", "dangling=1", "reference=*/app:*", "until=1700000000"],
    LIST_FILTERS,
    NOW,
  );
  assert.deepEqual(filter, {
    labels: [{ key: "a", value: "b=c", isAbsent: false }, { key: "x", value: undefined, isAbsent: true }],
    references: ["*/app:*"],
    dangling: true,
    untilMs: 1_700_000_000_000,
  });
  for (const bad of ["x=1", "dangling", "dangling=maybe"]) {
    assert.throws(() => parseImageFilters([bad], LIST_FILTERS, NOW), { code: "FILTER_INVALID" }, bad);
  }
  assert.throws(() => parseImageFilters(["before=a"], PRUNE_FILTERS, NOW), { code: "FILTER_INVALID" });
  assert.throws(() => parseImageFilters(["until=soon"], LIST_FILTERS, NOW), { code: "TIME_INVALID" });
});

test("rmi --platform takes one platform, and leaves the name, the others and what they share", async () => {
  using t = makeTestStore();
  const lease = openLease(t.store);
  const amd = await putTestImage(lease, { layers: ["shared", "amd"] });
  const arm = await putTestImage(lease, { layers: ["shared", "arm"], config: { architecture: "arm64" } });
  const index = await putTestIndex(lease, [
    { ...amd.target, platform: { os: "linux", architecture: "amd64" } },
    { ...arm.target, platform: { os: "linux", architecture: "arm64" } },
  ]);
  await nameTestTarget(lease, "multi", index);
  lease[Symbol.dispose]();
  const platform = { os: "linux", architecture: "arm64" };
  const users: ImageUser[] = [{ id: "c".repeat(64), isRunning: false }];
  await assert.rejects(removePlatforms(t.store, "multi", [platform], { ...PLAIN, usersOf: () => users }), {
    code: "IMAGE_IN_USE",
  });
  assert.deepEqual((await removePlatforms(t.store, "multi", [platform], PLAIN)).records, [{ deleted: arm.id }]);
  assert.deepEqual(listImages(t.store).images.map((image) => [image.id, image.names.length]), [[amd.id, 1]]);
  assert.equal(listBlobs(t.store).length, 5);
  await assert.rejects(removePlatforms(t.store, "multi", [platform], PLAIN), { code: "IMAGE_UNKNOWN" });
  await assert.rejects(removePlatforms(t.store, "multi", [{ os: "linux", architecture: "amd64" }], PLAIN), {
    code: "LAST_PLATFORM",
  });
});
