import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Descriptor } from "#oci/descriptor.ts";
import { hashBytes } from "#oci/digest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { openLease } from "./lease.ts";
import { deriveIndex, listNames, nameFile, readName, refreshIndex, setName, sweepTemporaries } from "./names.ts";
import { formatMark, ownMark } from "./owner_mark.ts";
import { makeTestStore } from "./test_store.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");

function target(text: string): Descriptor {
  return { mediaType: MEDIA_TYPES.ociManifest, digest: hashBytes(text), size: text.length };
}

function readIndex(path: string): { manifests: { digest: string; annotations?: Record<string, string> }[] } {
  return JSON.parse(readFileSync(join(path, "index.json"), "utf8"));
}

test("a name that was set is read back and stands in index.json in full", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const reference = "127.0.0.1:5000/team/app:v1.0_x";
  assert.equal(readName(t.store, reference), undefined);
  await setName(lease, { reference, target: target("a"), nowMs: NOW });
  const name = readName(t.store, reference);
  assert.equal(name!.reference, reference);
  assert.deepEqual(name!.target, target("a"));
  assert.equal(name!.createdMs, NOW);
  const { manifests } = readIndex(t.store.path);
  assert.deepEqual(manifests.map((entry) => [entry.digest, entry.annotations?.["org.opencontainers.image.ref.name"]]), [
    [target("a").digest, reference],
  ]);
});

test("a name that moves leaves its image without a name, unless it has another", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  await setName(lease, { reference: "docker.io/library/a:1", target: target("old"), nowMs: NOW });
  const displaced = await setName(lease, { reference: "docker.io/library/a:1", target: target("new"), nowMs: NOW });
  assert.equal(displaced!.digest, target("old").digest);
  assert.deepEqual(
    listNames(t.store).names.map((name) => [name.reference, name.target.digest]),
    [[undefined, target("old").digest], ["docker.io/library/a:1", target("new").digest]],
  );
  await setName(lease, { reference: "docker.io/library/b:1", target: target("new"), nowMs: NOW });
  await setName(lease, { reference: "docker.io/library/a:1", target: target("old"), nowMs: NOW });
  assert.deepEqual(
    listNames(t.store).names.map((name) => [name.reference, name.target.digest]),
    [["docker.io/library/a:1", target("old").digest], ["docker.io/library/b:1", target("new").digest]],
  );
});

test("an image can be kept without a name, once", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  await setName(lease, { reference: undefined, target: target("x"), nowMs: NOW });
  await setName(lease, { reference: undefined, target: target("x"), nowMs: NOW });
  assert.equal(listNames(t.store).names.length, 1);
  assert.equal(readIndex(t.store.path).manifests[0]!.annotations, undefined);
});

test("C-047 a name is not written when something of the image is missing", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const check = () => {
    throw new Error("a layer is missing");
  };
  await assert.rejects(
    setName(lease, { reference: "docker.io/library/a:1", target: target("a"), nowMs: NOW, check }),
    /missing/,
  );
  assert.deepEqual(readdirSync(join(t.store.path, "names")), []);
});

test("references of every form have files of their own, none longer than a name may be", () => {
  const long = `registry.example.com:5000/${"component/".repeat(20)}end:${"t".repeat(128)}`;
  const references = [
    "docker.io/library/a:1",
    "docker.io/library/a:1.tmp",
    "docker.io/library/a@sha256:" + "a".repeat(64),
    "[::1]:5000/a:b",
    long,
    long + "x",
  ];
  const files = references.map(nameFile);
  assert.equal(new Set(files).size, references.length);
  for (const file of files) {
    assert.match(file, /^[A-Za-z0-9~%._-]+\.json$/);
    assert.ok(!file.startsWith("."));
    assert.ok(file.length < 190);
  }
});

test("C-047 a broken file of a name is told apart and does not hide the others", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  await setName(lease, { reference: "docker.io/library/a:1", target: target("a"), nowMs: NOW });
  const broken = [
    "",
    "{",
    '{"reference":"docker.io/library/a:1"}',
    '{"__proto__":{}}',
    readFileSync(join(t.store.path, "names", nameFile("docker.io/library/a:1")), "utf8"),
  ];
  broken.forEach((text, at) => writeFileSync(join(t.store.path, "names", `x${at}.json`), text));
  const listed = listNames(t.store);
  assert.deepEqual(listed.names.map((name) => name.reference), ["docker.io/library/a:1"]);
  assert.equal(listed.broken.length, broken.length);
  assert.throws(() => readName(t.store, "x0"), { code: "JSON_INVALID" });
});

test("fifty writers without locks lose no name, and index.json has them all", async () => {
  using t = makeTestStore({ tryLock: () => "unsupported" });
  using lease = openLease(t.store);
  const references = Array.from({ length: 50 }, (_, at) => `docker.io/library/n:${at}`);
  await Promise.all(
    references.map((reference) => setName(lease, { reference, target: target(reference), nowMs: NOW })),
  );
  assert.equal(listNames(t.store).names.length, 50);
  assert.deepEqual(readIndex(t.store.path).manifests.length, 50);
});

test("index.json that another process left behind the names is made right by the next change", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  await setName(lease, { reference: "docker.io/library/a:1", target: target("a"), nowMs: NOW });
  writeFileSync(join(t.store.path, "index.json"), "{}");
  refreshIndex(t.store);
  assert.equal(readIndex(t.store.path).manifests.length, deriveIndex(t.store).manifests.length);
});

test("temporary files of killed writers are swept, those of living ones stay", () => {
  using t = makeTestStore();
  const dead = join(t.store.path, "names", `a.json.${formatMark({ ...ownMark(), startTicks: "1" })}.0123456789ab.tmp`);
  const living = join(t.store.path, "names", `a.json.${formatMark(ownMark())}.0123456789ab.tmp`);
  writeFileSync(dead, "");
  writeFileSync(living, "");
  assert.equal(sweepTemporaries(t.store), 1);
  assert.ok(!existsSync(dead) && existsSync(living));
  assert.deepEqual(listNames(t.store), { names: [], broken: [] });
});
