import { test } from "node:test";
import assert from "node:assert/strict";
import { hashBytes } from "#oci/digest.ts";
import { hostPlatform } from "#oci/platform.ts";
import { formatReference, parseReference } from "#oci/reference.ts";
import { blobSize, listBlobs, readBlob } from "#storage/content.ts";
import { openLease } from "#storage/lease.ts";
import { listNames, readName } from "#storage/names.ts";
import { makeTestStore } from "#storage/test_store.ts";
import { fromText, toText } from "#tar/bytes.ts";
import { readTar } from "#tar/read.ts";
import { NO_LAYERS } from "../collect.ts";
import { findImage } from "../find.ts";
import { listImages } from "../list.ts";
import { publishImage } from "../publish.ts";
import { type PullHost, pullImage } from "../pull.ts";
import type { RegistryAccess } from "../registry/access.ts";
import { removeImage } from "../remove.ts";
import { putTestImage } from "../testing.ts";
import { HELLO_BYTES } from "./bytes.ts";
import { HELLO_DIGESTS } from "./digests.ts";
import { ensureHelloImage } from "./ensure.ts";
import { assembleHelloImage, makeHelloImage } from "./image.ts";
import { HELLO_REFERENCE, isHelloName } from "./name.ts";

test("A-107 the embedded image has the digests that the source says", () => {
  const { blobs } = assembleHelloImage(HELLO_BYTES);
  assert.deepEqual(blobs.map(({ name, digest }) => [name, digest]), [...HELLO_DIGESTS]);
  for (const { bytes, digest } of makeHelloImage().blobs) assert.equal(hashBytes(bytes), digest);
});

test("A-107 with any byte of its program changed the embedded image is refused", () => {
  for (const arch of ["x86_64", "aarch64"] as const) {
    const bytes = Uint8Array.from(atob(HELLO_BYTES[arch]), (char) => char.charCodeAt(0));
    for (let at = 0; at < bytes.length; at += 97) {
      bytes[at]! ^= 1;
      const changed = { ...HELLO_BYTES, [arch]: btoa(String.fromCharCode(...bytes)) };
      assert.throws(() => makeHelloImage(changed), { code: "HELLO_DAMAGED" }, `${arch}, byte ${at}`);
      bytes[at]! ^= 1;
    }
    const cut = btoa(String.fromCharCode(...bytes.subarray(0, -1)));
    assert.throws(() => makeHelloImage({ ...HELLO_BYTES, [arch]: cut }), { code: "HELLO_DAMAGED" });
  }
});

test("hello, dugout/hello and the full name mean the embedded image; another tag, place or digest does not", () => {
  for (
    const name of [
      "hello",
      "hello:latest",
      "dugout/hello",
      "dugout/hello:latest",
      "docker.io/dugout/hello",
      "index.docker.io/dugout/hello:latest",
    ]
  ) assert.equal(isHelloName(name), true, name);
  for (
    const name of [
      "hello:1",
      "dugout/hello:1",
      "docker.io/library/hello",
      "docker.io/hello",
      "library/hello",
      "localhost/hello",
      "quay.io/dugout/hello",
      "hello-world",
      "Hello",
      "",
      "f".repeat(64),
      `hello@sha256:${"0".repeat(64)}`,
    ]
  ) assert.equal(isHelloName(name), false, name);
});

test("the embedded image is put into the store once, whole, for the platform that is asked for", async () => {
  using made = makeTestStore();
  const { store } = made;
  const amd64 = { os: "linux", architecture: "amd64" };
  const arm64 = { os: "linux", architecture: "arm64" };
  assert.equal(findImage(store, "hello"), undefined);
  const options = { platform: amd64, nowMs: 1000 };
  await Promise.all([ensureHelloImage(store, options), ensureHelloImage(store, options)]);
  await ensureHelloImage(store, { platform: amd64, nowMs: 2000 });
  const { names } = listNames(store);
  assert.deepEqual(names.map(({ reference, createdMs }) => [reference, createdMs]), [[
    "docker.io/dugout/hello:latest",
    1000,
  ]]);
  assert.deepEqual(listImages(store).images.map(({ platform }) => platform), [amd64]);
  for (const text of ["hello", "dugout/hello", "dugout/hello:latest", "docker.io/dugout/hello"]) {
    const { image } = findImage(store, text, { platform: amd64 })!;
    assert.equal(image.id, HELLO_DIGESTS.get("config amd64"));
    assert.deepEqual(image.config.config.Cmd, ["/hello"]);
    assert.equal(image.layers.length, 2);
  }
  await ensureHelloImage(store, { platform: { os: "linux", architecture: "riscv64" } });
  assert.equal(findImage(store, "hello", { platform: arm64 }), undefined);
  await ensureHelloImage(store, { platform: arm64 });
  assert.equal(findImage(store, "hello", { platform: arm64 })?.image.id, HELLO_DIGESTS.get("config arm64"));
  assert.equal(findImage(store, "hello", { platform: amd64 })?.image.id, HELLO_DIGESTS.get("config amd64"));
  for (const { digest, bytes } of makeHelloImage().blobs) assert.equal(blobSize(store, digest), bytes.length);
});

test("nothing is put for a platform that the embedded image is not made for", async () => {
  using made = makeTestStore();
  await ensureHelloImage(made.store, { platform: { os: "linux", architecture: "riscv64" } });
  assert.deepEqual(listNames(made.store).names, []);
  assert.deepEqual(listBlobs(made.store), []);
});

test("an image of the user's that is called hello goes before the embedded one", async () => {
  using made = makeTestStore();
  const { store } = made;
  await ensureHelloImage(store);
  using lease = openLease(store);
  for (const name of ["localhost/hello", "docker.io/library/hello"]) {
    const { target, id } = await putTestImage(lease, { layers: [name] });
    await publishImage(lease, { reference: parseReference(name), target, nowMs: 1 });
    assert.equal(findImage(store, "hello")?.image.id, id, name);
  }
  assert.notEqual(findImage(store, "dugout/hello")?.image.id, findImage(store, "hello")?.image.id);
});

test("an image of the user's that has the embedded one's full name stays", async () => {
  using made = makeTestStore();
  const { store } = made;
  using lease = openLease(store);
  const { target, id } = await putTestImage(lease);
  await publishImage(lease, { reference: HELLO_REFERENCE, target, nowMs: 1 });
  await ensureHelloImage(store);
  assert.equal(findImage(store, "hello")?.image.id, id);
});

test("the embedded image can be removed by its short name, and comes back when it is asked for", async () => {
  using made = makeTestStore();
  const { store } = made;
  await ensureHelloImage(store);
  await removeImage(store, "hello", { nowMs: 1, usersOf: () => [], shelf: NO_LAYERS });
  assert.equal(findImage(store, "hello"), undefined);
  await ensureHelloImage(store);
  assert.ok(readName(store, formatReference(HELLO_REFERENCE)));
});

test("the layers of the embedded image hold what a container needs, and lie over each other", async () => {
  using made = makeTestStore();
  const { store } = made;
  const platform = hostPlatform("x64");
  await ensureHelloImage(store, { platform });
  const { image } = findImage(store, "hello", { platform })!;
  const layers: string[][] = [];
  for (const { digest } of image.layers) {
    const paths: string[] = [];
    const bytes = readBlob(store, digest, { maxBytes: 100_000 });
    for await (const { entry, content } of readTar([bytes])) {
      paths.push(`${toText(entry.path)} ${entry.mode.toString(8)}`);
      if (entry.path !== fromText("hello")) continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk.slice());
      assert.equal(btoa(String.fromCharCode(...chunks.flatMap((chunk) => [...chunk]))), HELLO_BYTES.x86_64);
    }
    layers.push(paths);
  }
  assert.deepEqual(layers[1], ["hello 755"]);
  for (const path of ["dev 755", "proc 755", "sys 755", "tmp 1777", "etc/passwd 644"]) {
    assert.ok(layers[0]?.includes(path), path);
  }
});

test("a pull of hello asks no registry", async () => {
  using made = makeTestStore();
  const { store } = made;
  const refuse = () => {
    throw new Error("asked a registry");
  };
  const access = { expand: refuse, endpoints: refuse } as unknown as RegistryAccess;
  const events: string[] = [];
  const host: PullHost = { store, access, nowMs: () => 1, onEvent: ({ kind }) => events.push(kind) };
  const platform = { os: "linux", architecture: "arm64" };
  const first = await pullImage(host, { name: "hello", platform });
  assert.deepEqual([first.isNew, formatReference(first.reference)], [true, "docker.io/dugout/hello:latest"]);
  assert.equal(first.image.id, HELLO_DIGESTS.get("config arm64"));
  assert.equal((await pullImage(host, { name: "dugout/hello:latest", platform })).isNew, false);
  assert.deepEqual(events, ["pulling", "pulled", "pulling", "pulled"]);
  const other = { name: "hello", platform: { os: "linux", architecture: "riscv64" } };
  await assert.rejects(pullImage(host, other), { code: "IMAGE_UNKNOWN" });
  await assert.rejects(pullImage(host, { name: "docker.io/library/hello" }), /asked a registry/);
});
