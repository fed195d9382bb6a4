import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Digest, hashBytes } from "#oci/digest.ts";
import {
  blobPath,
  blobSize,
  deleteBlob,
  hasBlob,
  listBlobs,
  openContentStore,
  readBlob,
  streamBlob,
} from "./content.ts";
import { openLease } from "./lease.ts";
import { putBlob } from "./ingest.ts";
import { listIngest, makeBytes, makeTestStore } from "./test_store.ts";

const LIMIT = { maxBytes: 1 << 20 };

test("a new store is an OCI image layout whose directories are the user's alone", () => {
  using t = makeTestStore();
  assert.deepEqual(JSON.parse(readFileSync(join(t.store.path, "oci-layout"), "utf8")), { imageLayoutVersion: "1.0.0" });
  for (const dir of ["", "blobs", "blobs/sha256", "ingest", "names"]) {
    assert.equal(statSync(join(t.store.path, dir)).mode & 0o7777, 0o700, dir);
  }
  assert.equal(statSync(t.root).mode & 0o7777, 0o700);
});

test("bytes that were put come back, are listed, streamed and deleted", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const bytes = makeBytes(3_000_000);
  const { digest, size } = await putBlob(lease, bytes);
  assert.equal(digest, hashBytes(bytes));
  assert.equal(size, bytes.length);
  assert.equal(blobSize(t.store, digest), size);
  assert.ok(hasBlob(t.store, digest, size));
  assert.ok(!hasBlob(t.store, digest, size + 1));
  assert.deepEqual(listBlobs(t.store), [digest]);
  assert.deepEqual(Buffer.from(readBlob(t.store, digest, { maxBytes: size })), Buffer.from(bytes));
  let streamed = 0;
  for await (const piece of streamBlob(t.store, digest)) streamed += piece.length;
  assert.equal(streamed, size);
  assert.equal(deleteBlob(t.store, digest), size);
  assert.equal(deleteBlob(t.store, digest), 0);
  assert.ok(!hasBlob(t.store, digest));
});

test("putting the same bytes twice keeps one blob and leaves nothing in ingest", async () => {
  using t = makeTestStore();
  {
    using lease = openLease(t.store);
    await putBlob(lease, makeBytes(100));
    await putBlob(lease, makeBytes(100));
    assert.equal(listBlobs(t.store).length, 1);
  }
  assert.deepEqual(listIngest(t.store), []);
});

test("a blob whose content changed on disk is refused, read or streamed", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const { digest } = await putBlob(lease, makeBytes(1000));
  writeFileSync(blobPath(t.store, digest), makeBytes(1000, 2));
  assert.throws(() => readBlob(t.store, digest, LIMIT), { code: "DIGEST_MISMATCH" });
  await assert.rejects(async () => {
    for await (const _ of streamBlob(t.store, digest));
  }, { code: "DIGEST_MISMATCH" });
});

test("A-098 a document above its limit is not read", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const { digest } = await putBlob(lease, makeBytes(1000));
  assert.throws(() => readBlob(t.store, digest, { maxBytes: 999 }), { code: "BLOB_TOO_LARGE" });
});

test("a blob that is not there has its own error", () => {
  using t = makeTestStore();
  const digest = hashBytes("nothing");
  assert.throws(() => readBlob(t.store, digest, LIMIT), { code: "BLOB_UNKNOWN" });
});

test("A-014 a digest that is a path never becomes one", () => {
  using t = makeTestStore();
  const hex = "a".repeat(64);
  for (
    const bad of [
      `sha256:../../../canary`,
      `sha256:${hex}/x`,
      `sha256:${hex.toUpperCase()}`,
      `SHA256:${hex}`,
      `md5:${hex}`,
      `sha256:${hex}a`,
      "sha256:",
    ]
  ) {
    assert.throws(() => blobPath(t.store, bad as Digest), /digest/, bad);
  }
});

test("A-106 a store of a newer version is refused and left as it was", () => {
  using t = makeTestStore();
  writeFileSync(join(t.root, "version"), "2\n");
  assert.throws(() => openContentStore(t.root), { code: "STORE_TOO_NEW" });
  assert.equal(readFileSync(join(t.root, "version"), "utf8"), "2\n");
  writeFileSync(join(t.root, "version"), "1\n");
  writeFileSync(join(t.store.path, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
  assert.throws(() => openContentStore(t.root), { code: "STORE_TOO_NEW" });
  assert.equal(readFileSync(join(t.store.path, "oci-layout"), "utf8"), '{"imageLayoutVersion":"2.0.0"}');
});

test("A-012 a store that was open to others is narrowed when it is ours", () => {
  using t = makeTestStore();
  chmodSync(t.root, 0o755);
  chmodSync(t.store.path, 0o777);
  openContentStore(t.root);
  assert.equal(statSync(t.root).mode & 0o7777, 0o700);
  assert.equal(statSync(t.store.path).mode & 0o7777, 0o700);
});

test("A-012 an open directory with other things in it is not taken for a store", () => {
  using t = makeTestStore();
  const other = join(t.root, "..", "other");
  mkdirSync(join(other, "work"), { recursive: true });
  chmodSync(other, 0o777);
  assert.throws(() => openContentStore(other), { code: "STORE_FOREIGN" });
  assert.equal(statSync(other).mode & 0o7777, 0o777);
  assert.ok(!existsSync(join(other, "images")));
});

test("A-012 a link in the place of a directory of the store is refused", () => {
  using t = makeTestStore();
  const root = join(t.root, "..", "fresh");
  mkdirSync(root, { mode: 0o700 });
  mkdirSync(join(t.root, "..", "elsewhere"));
  symlinkSync(join(t.root, "..", "elsewhere"), join(root, "images"));
  assert.throws(() => openContentStore(root), { code: "ENOTDIR" });
});
