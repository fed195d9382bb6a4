import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { Digest } from "#oci/digest.ts";
import { hashBytes } from "#oci/digest.ts";
import { encodeImageConfig, type ImageConfig } from "#oci/image_config.ts";
import { encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { formatReference, parseReference } from "#oci/reference.ts";
import { blobPath, type ContentStore, deleteBlob, listBlobs } from "#storage/content.ts";
import { putBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { listIngest, makeBytes, makeTestStore } from "#storage/test_store.ts";
import { concat, craftTar, readAll } from "#tar/testing.ts";
import { DEFAULT_ARCHIVE_LIMITS } from "./archive_members.ts";
import { findImage, getImage } from "./find.ts";
import { importImage } from "./import.ts";
import { listImages } from "./list.ts";
import { loadArchive, loadDirectory, type LoadOptions } from "./load.ts";
import { removeImage } from "./remove.ts";
import { NO_LAYERS } from "./collect.ts";
import { saveImages, type SaveOptions } from "./save.ts";
import { tagImage } from "./tag.ts";
import {
  addTestImage,
  compress,
  type Compression,
  makeLayer,
  nameTestTarget,
  NOW,
  putTestImage,
  putTestIndex,
  type TestImage,
} from "./testing.ts";

async function save(store: ContentStore, texts: string[], options: SaveOptions = {}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of saveImages(store, texts, options)) pieces.push(piece.slice());
  return concat(pieces);
}

async function load(
  store: ContentStore,
  archive: Uint8Array,
  options: Partial<LoadOptions> = {},
): Promise<[id: string, ...names: string[]][]> {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < archive.length; at += 65_536) chunks.push(archive.subarray(at, at + 65_536));
  const loaded = await loadArchive(store, chunks, { nowMs: NOW, ...options });
  return loaded.map(({ image, references }) => [image.id, ...references.map(formatReference)]);
}

function membersOf(archive: Uint8Array): Map<string, Uint8Array> {
  return new Map(readAll(archive).map(({ entry, content }) => [entry.path, content]));
}

function json(bytes: Uint8Array | undefined): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function assertEmpty(store: ContentStore): void {
  assert.deepEqual([listBlobs(store), listIngest(store), listImages(store)], [[], [], { images: [], damaged: [] }]);
}

/** An archive of members by path; objects become JSON. */
function archiveOf(members: Record<string, Uint8Array | string | object>): Uint8Array {
  return craftTar(
    Object.entries(members).map(([path, content]) => [
      path,
      "file",
      {},
      content instanceof Uint8Array || typeof content === "string" ? content : JSON.stringify(content),
    ]),
  );
}

type OldImage = { config: Uint8Array; id: Digest; layers: Uint8Array[] };

function makeOldImage(names: string[], rest: Partial<ImageConfig> = {}): OldImage {
  const layers = names.map((name) => makeLayer(name));
  const config = encodeImageConfig({
    architecture: "amd64",
    os: "linux",
    config: {},
    diffIds: layers.map(({ diffId }) => diffId),
    history: [],
    ...rest,
  });
  return { config, id: hashBytes(config), layers: layers.map(({ tar }) => tar) };
}

test("what is saved and loaded is the same image: id, manifest, blobs, name", async () => {
  const forms: TestImage[] = [{}, { compression: "none" }, { docker: true }, { layers: ["a", "b", "a"] }];
  for (const form of forms) {
    for (const format of ["docker-archive", "oci-archive"] as const) {
      using from = makeTestStore();
      using to = makeTestStore();
      const { id, target } = await addTestImage(from.store, "quay.io/a/b:1", form);
      const archive = await save(from.store, ["quay.io/a/b:1"], { format });
      assert.deepEqual(await load(to.store, archive), [[id, "quay.io/a/b:1"]]);
      if (form.docker !== true || format === "docker-archive") {
        assert.equal(getImage(to.store, "quay.io/a/b:1").manifestDigest, target.digest);
        assert.deepEqual(listBlobs(to.store).sort(), listBlobs(from.store).sort());
      }
      assert.deepEqual(listIngest(to.store), []);
      // and the same bytes again
      assert.deepEqual(
        await save(to.store, ["quay.io/a/b:1"], { format }),
        await save(to.store, ["quay.io/a/b:1"], { format }),
      );
    }
  }
});

test("an archive has Docker's list beside the OCI layout, with tags as Docker writes them", async () => {
  using t = makeTestStore();
  const { id, target } = await addTestImage(t.store, "debian:12");
  const members = membersOf(await save(t.store, ["debian:12"]));
  const [layer] = getImage(t.store, "debian:12").layers;
  assert.deepEqual(json(members.get("manifest.json")), [{
    Config: `blobs/sha256/${id.slice(7)}`,
    RepoTags: ["debian:12"],
    Layers: [`blobs/sha256/${layer!.digest.slice(7)}`],
  }]);
  assert.deepEqual(json(members.get("oci-layout")), { imageLayoutVersion: "1.0.0" });
  const index = json(members.get("index.json")) as { manifests: object[] };
  assert.deepEqual(index.manifests, [{
    ...target,
    annotations: {
      "io.containerd.image.name": "docker.io/library/debian:12",
      "org.opencontainers.image.ref.name": "12",
    },
  }]);
});

test("C-016 a zstd layer is saved as plain tar with the same diff-id, and as it came in an OCI archive", async () => {
  using t = makeTestStore();
  const { id, target } = await addTestImage(t.store, "z", { layers: ["a", "b", "a"], compression: "zstd" });
  const docker = await save(t.store, ["z"]);
  const members = membersOf(docker);
  for (const name of ["a", "b"]) {
    const { tar, diffId } = makeLayer(name);
    assert.deepEqual(Buffer.from(members.get(`blobs/sha256/${diffId.slice(7)}`)!), Buffer.from(tar));
  }
  assert.deepEqual(listIngest(t.store), []);
  using to = makeTestStore();
  assert.deepEqual(await load(to.store, docker), [[id, "docker.io/library/z:latest"]]);
  assert.deepEqual(getImage(to.store, "z").layers.map((layer) => layer.mediaType), Array(3).fill(MEDIA_TYPES.ociLayer));
  using other = makeTestStore();
  await load(other.store, await save(t.store, ["z"], { format: "oci-archive" }));
  assert.equal(getImage(other.store, "z").manifestDigest, target.digest);
});

test("C-030 two images in one archive keep their ids and tags, and share their layers", async () => {
  using from = makeTestStore();
  const a = await addTestImage(from.store, "a:1", { layers: ["base", "a"] });
  const b = await addTestImage(from.store, "b:1", { layers: ["base", "b"] });
  await tagImage(from.store, "a:1", "a:2", { nowMs: NOW });
  const archive = await save(from.store, ["a:1", "b:1", "a:2"]);
  const paths = readAll(archive).map(({ entry }) => entry.path);
  assert.equal(new Set(paths).size, paths.length);
  for (const name of ["a:1", "b:1"]) {
    await removeImage(from.store, name, { nowMs: NOW, usersOf: () => [], shelf: NO_LAYERS, force: true });
  }
  await removeImage(from.store, "a:2", { nowMs: NOW, usersOf: () => [], shelf: NO_LAYERS });
  assert.deepEqual(await load(from.store, archive), [
    [a.id, "docker.io/library/a:1", "docker.io/library/a:2"],
    [b.id, "docker.io/library/b:1"],
  ]);
  assert.equal(findImage(from.store, "a:2")?.image.id, a.id);
});

test("a name without a tag stands for all tags of its repository", async () => {
  using t = makeTestStore();
  await addTestImage(t.store, "a:1", { layers: ["1"] });
  await addTestImage(t.store, "a:2", { layers: ["2"] });
  await addTestImage(t.store, "ab:3", { layers: ["3"] });
  const items = json(membersOf(await save(t.store, ["a"])).get("manifest.json")) as { RepoTags: string[] }[];
  assert.deepEqual(items.map((item) => item.RepoTags), [["a:1"], ["a:2"]]);
});

test("C-031 an image saved by its id has no tags, and load tells its id", async () => {
  using t = makeTestStore();
  using to = makeTestStore();
  const { id } = await addTestImage(t.store, "a:1");
  for (const format of ["docker-archive", "oci-archive"] as const) {
    const archive = await save(t.store, [id.slice(7, 19)], { format });
    if (format === "docker-archive") {
      assert.match(new TextDecoder().decode(membersOf(archive).get("manifest.json")), /"RepoTags":null/);
    }
    assert.deepEqual(await load(to.store, archive), [[id]]);
  }
  assert.deepEqual(listImages(to.store).images.map((image) => image.names), [[]]);
});

test("C-032 exactly the tags of the archive move, each to its own image", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  const a = await addTestImage(from.store, "a:1", { layers: ["a"] });
  const b = await addTestImage(from.store, "b:1", { layers: ["b"] });
  const old = await addTestImage(to.store, "b:1", { layers: ["old"] });
  await tagImage(to.store, "b:1", "a:1", { nowMs: NOW });
  await tagImage(to.store, "b:1", "c:1", { nowMs: NOW });
  await load(to.store, await save(from.store, ["a:1", "b:1"]));
  assert.equal(findImage(to.store, "a:1")?.image.id, a.id);
  assert.equal(findImage(to.store, "b:1")?.image.id, b.id);
  assert.equal(findImage(to.store, "c:1")?.image.id, old.id);
});

test("C-033 an image that was pulled by digest is saved and loaded without a name", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  using lease = openLease(from.store);
  const { target, id } = await putTestImage(lease);
  await nameTestTarget(lease, `quay.io/a/b@${target.digest}`, target);
  for (const format of ["docker-archive", "oci-archive"] as const) {
    assert.deepEqual(await load(to.store, await save(from.store, [`quay.io/a/b@${target.digest}`], { format })), [[
      id,
    ]]);
  }
  assert.equal(findImage(to.store, target.digest)?.image.id, id);
  // and an archive whose entry is named by a digest
  const members = membersOf(await save(from.store, [target.digest], { format: "oci-archive" }));
  const index = json(members.get("index.json")) as { manifests: { annotations?: object }[] };
  index.manifests[0]!.annotations = { "org.opencontainers.image.ref.name": `quay.io/a/b@${target.digest}` };
  members.set("index.json", new TextEncoder().encode(JSON.stringify(index)));
  members.delete("blobs");
  members.delete("blobs/sha256");
  assert.deepEqual(await load(to.store, archiveOf(Object.fromEntries(members))), [[id]]);
});

test("C-034 the index of an image for several platforms is saved as it came, with the platforms that are here", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  using lease = openLease(from.store);
  const amd = await putTestImage(lease, { layers: ["amd"] });
  const arm = await putTestImage(lease, { layers: ["arm"], config: { architecture: "arm64" } });
  const absent = {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: hashBytes("no"),
    size: 2,
    platform: { os: "linux", architecture: "s390x" },
  };
  const index = await putTestIndex(lease, [
    { ...amd.target, platform: { os: "linux", architecture: "amd64" } },
    { ...arm.target, platform: { os: "linux", architecture: "arm64" } },
    absent,
  ]);
  await nameTestTarget(lease, "multi", index);
  for (const format of ["docker-archive", "oci-archive"] as const) {
    const loaded = await load(to.store, await save(from.store, ["multi"], { format }));
    assert.deepEqual(loaded.map(([id]) => id).sort(), [amd.id, arm.id].sort());
    assert.equal(getImage(to.store, "multi").target.digest, index.digest);
    assert.deepEqual(listBlobs(to.store).sort(), listBlobs(from.store).sort());
  }
  // one platform of it, on the way out and on the way in
  using one = makeTestStore();
  const platform = { os: "linux", architecture: "arm64" };
  assert.deepEqual(await load(one.store, await save(from.store, ["multi"], { platform })), [[
    arm.id,
    "docker.io/library/multi:latest",
  ]]);
  using two = makeTestStore();
  assert.deepEqual(await load(two.store, await save(from.store, ["multi"]), { platform }), [[
    arm.id,
    "docker.io/library/multi:latest",
  ]]);
  await assert.rejects(
    load(two.store, await save(from.store, ["multi"]), { platform: { os: "linux", architecture: "riscv64" } }),
    { code: "ARCHIVE_EMPTY" },
  );
  await assert.rejects(save(from.store, ["multi"], { platform: { os: "linux", architecture: "riscv64" } }), {
    code: "IMAGE_UNKNOWN",
  });
});

test("C-029 indexes in indexes, and attestations, are loaded", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  using lease = openLease(from.store);
  const image = await putTestImage(lease, { layers: ["amd"] });
  const attestation = await putTestImage(lease, { layers: ["att"] });
  const inner = await putTestIndex(lease, [
    { ...image.target, platform: { os: "linux", architecture: "amd64" } },
    { ...attestation.target, platform: { os: "unknown", architecture: "unknown" } },
  ]);
  await nameTestTarget(lease, "nested", await putTestIndex(lease, [inner]));
  const archive = await save(from.store, ["nested"], { format: "oci-archive" });
  assert.deepEqual(await load(to.store, archive), [[image.id, "docker.io/library/nested:latest"]]);
  assert.deepEqual(listBlobs(to.store).sort(), listBlobs(from.store).sort());
});

test("Docker's older archives: layers in folders of their own, by links, and tags", async () => {
  using t = makeTestStore();
  const { config, id, layers } = makeOldImage(["x", "y", "x"]);
  const archive = craftTar([
    ["aaa", "directory"],
    ["aaa/VERSION", "file", {}, "1.0"],
    ["aaa/json", "file", {}, "{}"],
    ["aaa/layer.tar", "file", {}, layers[0]!],
    ["bbb/layer.tar", "file", {}, layers[1]!],
    ["ccc/layer.tar", "symlink", { linkPath: "../aaa/layer.tar" as never }],
    [`${id.slice(7)}.json`, "file", {}, config],
    ["repositories", "file", {}, '{"x":{"1":"bbb"}}'],
    [
      "manifest.json",
      "file",
      {},
      JSON.stringify([{
        Config: `${id.slice(7)}.json`,
        RepoTags: ["x:1", "localhost:5000/x:2"],
        Layers: ["aaa/layer.tar", "bbb/layer.tar", "ccc/layer.tar"],
      }]),
    ],
  ]);
  for (const compression of ["none", "gzip", "zstd"] satisfies Compression[]) {
    assert.deepEqual(await load(t.store, compress(archive, compression)), [[
      id,
      "docker.io/library/x:1",
      "localhost:5000/x:2",
    ]]);
  }
  assert.deepEqual(
    getImage(t.store, "x:1").layers.map(({ diffId }) => diffId),
    ["x", "y", "x"].map((name) => makeLayer(name).diffId),
  );
  assert.deepEqual(Buffer.from(readFileSync(blobPath(t.store, id))), Buffer.from(config));
});

test("archives with compressed layers, and with the list first, are loaded", async () => {
  using t = makeTestStore();
  const { config, id, layers } = makeOldImage(["x", "y"]);
  const archive = archiveOf({
    "manifest.json": [{ Config: "c", RepoTags: ["x:1"], Layers: ["1", "2"] }],
    c: config,
    "1": compress(layers[0]!, "gzip"),
    "2": compress(layers[1]!, "zstd"),
  });
  assert.deepEqual(await load(t.store, archive), [[id, "docker.io/library/x:1"]]);
  assert.deepEqual(getImage(t.store, "x:1").layers.map((layer) => layer.mediaType), [
    MEDIA_TYPES.ociLayerGzip,
    MEDIA_TYPES.ociLayerZstd,
  ]);
});

test("C-129 a list with fewer layers than diff-ids is refused with both numbers, and the same layer may occur three times", async () => {
  using t = makeTestStore();
  const { config, layers } = makeOldImage(["e", "e", "e"]);
  const bad = archiveOf({ "manifest.json": [{ Config: "c", Layers: ["1"] }], c: config, "1": layers[0]! });
  await assert.rejects(load(t.store, bad), /1 layers but its config has 3 diff-ids/);
  assertEmpty(t.store);
  const good = archiveOf({ "manifest.json": [{ Config: "c", Layers: ["1", "1", "1"] }], c: config, "1": layers[0]! });
  assert.equal((await load(t.store, good)).length, 1);
});

test("an OCI layout in a directory is loaded, and links and pipes in it are not followed", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  const { id } = await addTestImage(from.store, "a:1");
  assert.deepEqual((await loadDirectory(to.store, from.store.path, { nowMs: NOW })).map(({ image }) => image.id), [id]);
  const dir = mkdtempSync(join(tmpdir(), "dugout-layout-"));
  try {
    writeFileSync(join(dir, "secret"), "{}");
    symlinkSync(join(dir, "secret"), join(dir, "index.json"));
    await assert.rejects(loadDirectory(to.store, dir, { nowMs: NOW }));
    for (const [path, content] of membersOf(await save(from.store, ["a:1"], { format: "oci-archive" }))) {
      if (content.length === 0) continue;
      mkdirSync(join(dir, "oci", dirname(path)), { recursive: true });
      writeFileSync(join(dir, "oci", path), content);
    }
    assert.deepEqual((await loadDirectory(to.store, join(dir, "oci"), { nowMs: NOW })).map(({ image }) => image.id), [
      id,
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("A-010 what is no archive, or is cut, is refused with the cause, and leaves nothing", async () => {
  using from = makeTestStore();
  using t = makeTestStore();
  await addTestImage(from.store, "a", { layers: ["a", "b"] });
  const good = await save(from.store, ["a"]);
  const bad: [Uint8Array, RegExp][] = [
    [new Uint8Array(0), /there is nothing in it/],
    [makeBytes(100_000), /./],
    [new Uint8Array(1024), /neither index\.json nor manifest\.json/],
    [good.subarray(0, 1600), /ends in the middle/],
    [compress(good, "gzip").subarray(0, 500), /gzip/],
    [compress(good, "zstd").subarray(0, 500), /zstd/],
    [archiveOf({ "etc/passwd": "root" }), /neither/],
    [archiveOf({ repositories: "{}" }), /before 2016/],
    [archiveOf({ "index.json": { schemaVersion: 2, manifests: [] } }), /holds no image/],
    [archiveOf({ "manifest.json": [] }), /holds no image/],
    [archiveOf({ "manifest.json": "{" }), /JSON/],
    [archiveOf({ "manifest.json": [{ Config: "c", Layers: [] }] }), /no member "c"/],
  ];
  for (const [archive, why] of bad) {
    await assert.rejects(load(t.store, archive), why);
    assertEmpty(t.store);
  }
});

test("A-011 members of every name that the store has are only names", async () => {
  using from = makeTestStore();
  using t = makeTestStore();
  const { id } = await addTestImage(from.store, "a");
  const members = membersOf(await save(from.store, ["a"]));
  members.delete("blobs");
  members.delete("blobs/sha256");
  const names = ["lock", "version", "names/x.json", "ingest/x.part", "images/index.json"];
  for (const name of names) members.set(name, new TextEncoder().encode("owned"));
  assert.deepEqual(await load(t.store, archiveOf(Object.fromEntries(members))), [[id, "docker.io/library/a:latest"]]);
  assert.equal(readFileSync(join(t.store.path, "lock"), "utf8"), "");
  assert.equal(readFileSync(join(t.root, "version"), "utf8"), "1\n");
});

test("A-011 members and links that lead outside of the archive are refused", async () => {
  using t = makeTestStore();
  const { config, layers } = makeOldImage(["x"]);
  const rest: Parameters<typeof craftTar>[0] = [
    ["c", "file", {}, config],
    ["1", "file", {}, layers[0]!],
    ["manifest.json", "file", {}, JSON.stringify([{ Config: "c", Layers: ["1"] }])],
  ];
  for (
    const bad of [
      ["../x", "file", {}, "x"],
      ["a/../../x", "file", {}, "x"],
      ["l", "symlink", { linkPath: "../../x" }],
      ["l", "symlink", { linkPath: "/etc/passwd" }],
      ["l", "hardlink", { linkPath: "../x" }],
    ]
  ) {
    await assert.rejects(
      load(t.store, craftTar([bad as never, ...rest])),
      { code: "ARCHIVE_INVALID" },
      JSON.stringify(bad),
    );
    assertEmpty(t.store);
  }
  // a ring of links leads nowhere
  const ring = craftTar([["p", "symlink", { linkPath: "q" as never }], ["q", "symlink", { linkPath: "p" as never }], [
    "c",
    "file",
    {},
    config,
  ], [
    "manifest.json",
    "file",
    {},
    JSON.stringify([{ Config: "c", Layers: ["p"] }]),
  ]]);
  await assert.rejects(load(t.store, ring), /no member "p"/);
});

test("A-013 two members of one name and different content are refused, equal ones are one", async () => {
  using t = makeTestStore();
  const { config, id, layers } = makeOldImage(["x"]);
  const list = JSON.stringify([{ Config: "c", RepoTags: ["a:1"], Layers: ["1"] }]);
  const members: Parameters<typeof craftTar>[0] = [["c", "file", {}, config], ["1", "file", {}, layers[0]!], [
    "manifest.json",
    "file",
    {},
    list,
  ]];
  const evil = JSON.stringify([{ Config: "c", RepoTags: ["evil:1"], Layers: ["1"] }]);
  await assert.rejects(load(t.store, craftTar([...members, ["./manifest.json", "file", {}, evil]])), {
    code: "ARCHIVE_AMBIGUOUS",
  });
  await assert.rejects(load(t.store, craftTar([...members, ["1", "symlink", { linkPath: "c" as never }]])), {
    code: "ARCHIVE_AMBIGUOUS",
  });
  assertEmpty(t.store);
  assert.deepEqual(await load(t.store, craftTar([...members, ["1", "file", {}, layers[0]!]])), [[
    id,
    "docker.io/library/a:1",
  ]]);
});

test("A-014 digests that are paths are refused wherever they stand in an archive", async () => {
  using t = makeTestStore();
  const { config, layers } = makeOldImage(["x"]);
  for (
    const bad of [
      "sha256:../../../canary",
      `sha256:${"A".repeat(64)}`,
      `sha256:${"a".repeat(64)}/x`,
      "md5:00",
      "../../x",
    ]
  ) {
    const index = { schemaVersion: 2, manifests: [{ mediaType: MEDIA_TYPES.ociManifest, digest: bad, size: 2 }] };
    await assert.rejects(load(t.store, archiveOf({ "index.json": index })), { code: "MANIFEST_INVALID" }, bad);
    const text = new TextDecoder().decode(config).replace(makeLayer("x").diffId, bad);
    const old = archiveOf({ "manifest.json": [{ Config: "c", Layers: ["1"] }], c: text, "1": layers[0]! });
    await assert.rejects(load(t.store, old), { code: "CONFIG_INVALID" }, bad);
    assertEmpty(t.store);
  }
});

test("A-098 sizes that are not those of the descriptors, and blobs of other content, are refused", async () => {
  using from = makeTestStore();
  using t = makeTestStore();
  const { target } = await addTestImage(from.store, "a", { layers: ["a", "b"] });
  const members = membersOf(await save(from.store, ["a"], { format: "oci-archive" }));
  members.delete("blobs");
  members.delete("blobs/sha256");
  const layer = getImage(from.store, "a").layers[1]!;
  const path = `blobs/sha256/${layer.digest.slice(7)}`;
  for (const content of [makeBytes(layer.sizeBytes), makeBytes(200_000), new Uint8Array(0)]) {
    await assert.rejects(load(t.store, archiveOf({ ...Object.fromEntries(members), [path]: content })), {
      code: "DIGEST_MISMATCH",
    });
    assertEmpty(t.store);
  }
  const index = { schemaVersion: 2, manifests: [{ ...target, size: target.size + 1 }] };
  await assert.rejects(load(t.store, archiveOf({ ...Object.fromEntries(members), "index.json": index })), {
    code: "SIZE_MISMATCH",
  });
  assertEmpty(t.store);
});

test("A-098 documents above their limits, and more members than anybody needs, are refused", async () => {
  using t = makeTestStore();
  await assert.rejects(load(t.store, archiveOf({ "manifest.json": " ".repeat(4 * 1024 * 1024 + 1) })), {
    code: "ARCHIVE_LIMIT",
  });
  await assert.rejects(
    load(t.store, archiveOf({ "manifest.json": [{ Config: "c", Layers: [] }], c: " ".repeat(8 * 1024 * 1024 + 1) })),
    { code: "ARCHIVE_LIMIT" },
  );
  const many = archiveOf(Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`f${at}`, ""])));
  await assert.rejects(load(t.store, many, { limits: { ...DEFAULT_ARCHIVE_LIMITS, maxEntries: 100 } }), {
    code: "ARCHIVE_LIMIT",
  });
  await assert.rejects(load(t.store, archiveOf({ "manifest.json": "[".repeat(100_000) })), { code: "JSON_TOO_DEEP" });
  assertEmpty(t.store);
});

test("A-097 an archive that becomes a thousand times its size is refused, and so is a member that cannot fit", async () => {
  using t = makeTestStore();
  const bomb = compress(archiveOf({ big: new Uint8Array(130_000_000) }), "gzip");
  await assert.rejects(load(t.store, bomb), { code: "ARCHIVE_LIMIT" });
  assertEmpty(t.store);
  const header = craftTar([["big", "file", {}, ""]]).slice(0, 512);
  // size 8^11 - 1, 8 GB: fits here, so the number is written in base 256: 2^50
  header.set([0x80, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0, 0], 124);
  let sum = 0;
  header.fill(0x20, 148, 156);
  for (const byte of header) sum += byte;
  header.set(new TextEncoder().encode(sum.toString(8).padStart(6, "0") + "\0 "), 148);
  await assert.rejects(load(t.store, header), { code: "ENOSPC" });
  assertEmpty(t.store);
});

test("a tag in an archive that is no name is refused, and nothing is loaded", async () => {
  using t = makeTestStore();
  const { config, layers } = makeOldImage(["x"]);
  for (const tag of ["../x:1", "A:1", `x@sha256:${"a".repeat(64)}`, "x:\x1b[2J", ""]) {
    const archive = archiveOf({
      "manifest.json": [{ Config: "c", RepoTags: [tag], Layers: ["1"] }],
      c: config,
      "1": layers[0]!,
    });
    await assert.rejects(
      load(t.store, archive),
      (error: Error & { code?: string }) => error.code === "ARCHIVE_INVALID" && !/[\x00-\x1f]/.test(error.message),
    );
    assertEmpty(t.store);
  }
});

test("save of what is not there, or is damaged, fails before its first byte", async () => {
  using t = makeTestStore();
  const { target } = await addTestImage(t.store, "a");
  await assert.rejects(save(t.store, ["a", "nothing"]), { code: "IMAGE_UNKNOWN" });
  deleteBlob(t.store, target.digest);
  await assert.rejects(save(t.store, ["a"]), { code: "IMAGE_DAMAGED" });
});

test("import makes an image of one layer, kept as it came, with the changes that were asked for", async () => {
  for (const compression of ["none", "gzip", "zstd"] satisfies Compression[]) {
    using t = makeTestStore();
    const { tar, diffId } = makeLayer("etc/os-release", "ID=test");
    const image = await importImage(t.store, [compress(tar, compression)], {
      nowMs: NOW,
      reference: parseReference("mine:1"),
      changes: ['CMD ["/bin/sh"]', "ENV A=1"],
      message: "from a tar",
      platform: { os: "linux", architecture: "arm64", variant: "v8" },
    });
    assert.equal(getImage(t.store, "mine:1").id, image.id);
    assert.deepEqual(image.config.diffIds, [diffId]);
    assert.deepEqual(image.config.config, { Cmd: ["/bin/sh"], Env: ["A=1"] });
    assert.deepEqual(image.platform, { os: "linux", architecture: "arm64", variant: "v8" });
    assert.equal(image.config.history[0]?.comment, "from a tar");
    assert.deepEqual(
      Buffer.from(readFileSync(blobPath(t.store, image.layers[0]!.digest))),
      Buffer.from(compress(tar, compression)),
    );
    assert.deepEqual(listIngest(t.store), []);
  }
});

test("A-010 import refuses what is no archive, a wrong change and a wrong name, and leaves nothing", async () => {
  using t = makeTestStore();
  const { tar } = makeLayer("x");
  const options = { nowMs: NOW, platform: { os: "linux", architecture: "amd64" } };
  for (
    const bad of [
      new Uint8Array(0),
      makeBytes(5000),
      tar.subarray(0, 512),
      compress(tar, "gzip").subarray(0, 60),
      new TextEncoder().encode("BZh91AY&SY"),
    ]
  ) {
    await assert.rejects(importImage(t.store, [bad], options), { code: "IMPORT_INVALID" });
    assertEmpty(t.store);
  }
  await assert.rejects(importImage(t.store, [tar], { ...options, changes: ["RUN x"] }), { code: "CHANGE_INVALID" });
  await assert.rejects(importImage(t.store, [tar], { ...options, reference: parseReference(`x@${hashBytes("")}`) }), {
    code: "REFERENCE_INVALID",
  });
  assertEmpty(t.store);
  assert.equal((await importImage(t.store, [tar], options)).layers.length, 1);
});

test("C-128 a foreign layer that is not here is not saved, and its descriptor stays", async () => {
  using from = makeTestStore();
  using to = makeTestStore();
  using lease = openLease(from.store);
  const made = makeLayer("foreign");
  const config = encodeImageConfig({
    architecture: "amd64",
    os: "linux",
    config: {},
    diffIds: [made.diffId],
    history: [],
  });
  const manifest = encodeManifest({
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, ...await putBlob(lease, config) },
    layers: [{
      mediaType: MEDIA_TYPES.ociForeignLayer,
      digest: made.diffId,
      size: made.tar.length,
      urls: ["https://example.com/layer"],
    }],
  });
  await nameTestTarget(lease, "foreign", { mediaType: MEDIA_TYPES.ociManifest, ...await putBlob(lease, manifest) });
  for (const format of ["docker-archive", "oci-archive"] as const) {
    const archive = await save(from.store, ["foreign"], { format });
    assert.equal(membersOf(archive).has(`blobs/sha256/${made.diffId.slice(7)}`), false);
    await load(to.store, archive);
    assert.deepEqual(getImage(to.store, "foreign").manifest.layers[0]?.urls, ["https://example.com/layer"]);
  }
});
