import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hashBytes } from "#oci/digest.ts";
import { encodeIndex } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { blobPath, deleteBlob } from "#storage/content.ts";
import { putBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { makeTestStore } from "#storage/test_store.ts";
import { findImage, getImage } from "./find.ts";
import { imageSizeBytes, listImages, shortId } from "./list.ts";
import { publishImage } from "./publish.ts";
import { addTestImage, makeLayer, nameTestTarget, NOW, putTestImage, putTestIndex } from "./testing.ts";
import { parseReference } from "#oci/reference.ts";

test("an image is listed with its names, its digests and its size", async () => {
  using t = makeTestStore();
  const { id, target } = await addTestImage(t.store, "debian:12", { layers: ["a", "b"] });
  await addTestImage(t.store, "localhost:5000/debian:old", { layers: ["a", "b"] });
  const { images, damaged } = listImages(t.store);
  assert.deepEqual(damaged, []);
  assert.equal(images.length, 1);
  const [image] = images;
  assert.equal(image!.id, id);
  assert.deepEqual(image!.names, ["docker.io/library/debian:12", "localhost:5000/debian:old"]);
  assert.deepEqual(image!.digests, [
    `docker.io/library/debian@${target.digest}`,
    `localhost:5000/debian@${target.digest}`,
  ]);
  assert.deepEqual(image!.layers.map((layer) => layer.diffId), [makeLayer("a").diffId, makeLayer("b").diffId]);
  assert.equal(imageSizeBytes(image!, () => 100), 200 + image!.manifest.config.size);
});

test("an image is found by name, by name and digest, by id, by short id and by manifest digest", async () => {
  using t = makeTestStore();
  const { id, target } = await addTestImage(t.store, "debian:12");
  const texts = [
    "debian:12",
    "docker.io/library/debian:12",
    `debian@${target.digest}`,
    `debian:12@${target.digest}`,
    id,
    id.slice(7),
    shortId(id),
    `sha256:${shortId(id)}`,
    target.digest,
  ];
  for (const text of texts) assert.equal(findImage(t.store, text)?.image.id, id, text);
  for (const text of ["debian", "debian:13", `other@${target.digest}`, "0123456789ab", hashBytes("x")]) {
    assert.equal(findImage(t.store, text), undefined, text);
  }
  assert.throws(() => getImage(t.store, "debian"), { code: "IMAGE_UNKNOWN" });
});

test("the beginning of several ids is refused, with the ids", async () => {
  using t = makeTestStore();
  const ids: string[] = [];
  for (let at = 0; at < 20; at++) {
    ids.push((await addTestImage(t.store, `n:${at}`, { layers: [`l${at}`] })).id.slice(7));
  }
  const first = ids.map((id) => id[0]!);
  const twice = first.find((digit, at) => first.indexOf(digit) !== at)!;
  assert.throws(() => findImage(t.store, twice), { code: "IMAGE_AMBIGUOUS" });
});

test("a name that looks like an id goes before the id", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "a:1");
  const other = await addTestImage(t.store, `${shortId(id)}:latest`, { layers: ["other"] });
  assert.equal(findImage(t.store, shortId(id))?.image.id, other.id);
});

test("a short name also finds an image of localhost, and candidates come first", async () => {
  using t = makeTestStore();
  const local = await addTestImage(t.store, "localhost/app:latest");
  const aliased = await addTestImage(t.store, "quay.io/app/app:latest", { layers: ["q"] });
  assert.equal(findImage(t.store, "app")?.image.id, local.id);
  assert.equal(findImage(t.store, "app", { candidates: [parseReference("quay.io/app/app")] })?.image.id, aliased.id);
});

test("C-029 indexes are followed to the image of the platform, and unknown/unknown is none", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const amd = await putTestImage(lease, { layers: ["amd"] });
  const arm = await putTestImage(lease, { layers: ["arm"], config: { architecture: "arm64" } });
  const attestation = await putTestImage(lease, {
    layers: ["att"],
    config: { os: "unknown", architecture: "unknown" },
  });
  const inner = await putTestIndex(lease, [
    { ...amd.target, platform: { os: "linux", architecture: "amd64" } },
    { ...attestation.target, platform: { os: "unknown", architecture: "unknown" } },
  ]);
  const neverFetched = {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: hashBytes("no"),
    size: 2,
    platform: { os: "linux", architecture: "s390x" },
  };
  const outer = await putTestIndex(lease, [
    inner,
    { ...arm.target, platform: { os: "linux", architecture: "arm64" } },
    neverFetched,
  ]);
  await nameTestTarget(lease, "multi", outer);
  assert.deepEqual(listImages(t.store).images.map((image) => image.id).sort(), [amd.id, arm.id].sort());
  assert.equal(findImage(t.store, "multi", { platform: { os: "linux", architecture: "arm64" } })?.image.id, arm.id);
  assert.equal(findImage(t.store, "multi", { platform: { os: "linux", architecture: "amd64" } })?.image.id, amd.id);
  assert.equal(findImage(t.store, "multi", { platform: { os: "linux", architecture: "s390x" } }), undefined);
  assert.equal(findImage(t.store, `multi@${arm.target.digest}`)?.image.id, arm.id);
});

test("A-098 indexes that are nested too deep, or hold themselves, end", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  let target = (await putTestImage(lease)).target;
  for (let depth = 0; depth < 5; depth++) target = await putTestIndex(lease, [target]);
  await assert.rejects(nameTestTarget(lease, "deep", target), { code: "IMAGE_INCOMPLETE" });
  // what a digest cannot do, damage on disk can: an index that names itself
  const loop = encodeIndex({
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: [{ mediaType: MEDIA_TYPES.ociIndex, digest: target.digest, size: target.size }],
  });
  writeFileSync(blobPath(t.store, target.digest), loop);
  await assert.rejects(nameTestTarget(lease, "loop", target), { code: "IMAGE_INCOMPLETE" });
});

test("C-129 the same empty layer may occur three times, and counts once", async () => {
  using t = makeTestStore();
  const { id } = await addTestImage(t.store, "empty", {
    layers: ["e", "e", "e"],
    config: { history: [{ empty_layer: true }] },
  });
  const image = getImage(t.store, "empty");
  assert.equal(image.id, id);
  assert.equal(image.layers.length, 3);
  assert.equal(imageSizeBytes(image, () => 50), 50 + image.manifest.config.size);
});

test("C-129 a manifest with fewer layers than diff-ids is never named, and both numbers are said", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const { target } = await putTestImage(lease, { layers: ["a", "b"], config: { diffIds: [hashBytes("1")] } });
  await assert.rejects(nameTestTarget(lease, "bad", target), /2 layers but its config has 1 diff-ids/);
});

test("C-130 something that is no image is never named", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const config = await putBlob(lease, new TextEncoder().encode("{}"));
  const chart = new TextEncoder().encode(JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: "application/vnd.cncf.helm.config.v1+json", ...config },
    layers: [],
  }));
  const target = { mediaType: MEDIA_TYPES.ociManifest, ...await putBlob(lease, chart) };
  await assert.rejects(
    nameTestTarget(lease, "chart", target),
    /not a container image \(config type "application\/vnd\.cncf\.helm/,
  );
});

test("C-047 an image is not named while a blob or a layer is missing, and the error says which", async () => {
  using t = makeTestStore();
  using lease = openLease(t.store);
  const { target, config } = await putTestImage(lease, { layers: ["a", "b"] });
  const hasLayer = (diffId: string) => diffId === config.diffIds[0];
  await assert.rejects(publishImage(lease, { reference: parseReference("x"), target, nowMs: NOW, hasLayer }), {
    code: "IMAGE_INCOMPLETE",
    missingLayers: [config.diffIds[1]],
  });
  const blob = JSON.parse(readFileSync(blobPath(t.store, target.digest), "utf8")).layers[1].digest;
  deleteBlob(t.store, blob);
  await assert.rejects(publishImage(lease, { reference: parseReference("x"), target, nowMs: NOW }), {
    code: "IMAGE_INCOMPLETE",
    missing: [blob],
  });
  assert.deepEqual(listImages(t.store), { images: [], damaged: [] });
});

test("C-047 a damaged image does not hide the others", async () => {
  using t = makeTestStore();
  const bad = await addTestImage(t.store, "bad", { layers: ["bad"] });
  const good = await addTestImage(t.store, "good", { layers: ["good"] });
  writeFileSync(blobPath(t.store, bad.target.digest), "x".repeat(bad.target.size));
  writeFileSync(join(t.store.path, "names", "half.json"), '{"refer');
  const { images, damaged } = listImages(t.store);
  assert.deepEqual(images.map((image) => image.id), [good.id]);
  assert.deepEqual(damaged.map((entry) => entry.reference).sort(), ["docker.io/library/bad:latest", undefined]);
  assert.throws(() => findImage(t.store, "bad"), { code: "IMAGE_DAMAGED" });
});

test("Docker's manifests are named by what came, and index.json has an OCI index around them", async () => {
  using t = makeTestStore();
  const { target, id } = await addTestImage(t.store, "d", { docker: true });
  assert.equal(getImage(t.store, "d").target.digest, target.digest);
  assert.equal(getImage(t.store, "d").id, id);
  const [entry] = JSON.parse(readFileSync(join(t.store.path, "index.json"), "utf8")).manifests;
  assert.equal(entry.mediaType, MEDIA_TYPES.ociIndex);
  const wrapper = JSON.parse(readFileSync(blobPath(t.store, entry.digest), "utf8"));
  assert.deepEqual(wrapper.manifests, [{ ...target, platform: { architecture: "amd64", os: "linux" } }]);
});

test("a dangling image stays in the list after its name has moved", async () => {
  using t = makeTestStore();
  const old = await addTestImage(t.store, "a:1", { layers: ["old"] });
  const now = await addTestImage(t.store, "a:1", { layers: ["new"] });
  const byId = new Map(listImages(t.store).images.map((image) => [image.id, image.names]));
  assert.deepEqual(byId.get(old.id), []);
  assert.deepEqual(byId.get(now.id), ["docker.io/library/a:1"]);
});

test("A-087 labels called like JavaScript's own keys are kept", async () => {
  using t = makeTestStore();
  const labels = new Map([["__proto__", "1"], ["constructor", "2"], ["toString", "3"]]);
  await addTestImage(t.store, "l", { config: { config: { Labels: labels } } });
  assert.deepEqual(getImage(t.store, "l").config.config.Labels, labels);
});
