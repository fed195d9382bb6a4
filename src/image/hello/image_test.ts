import { test } from "node:test";
import assert from "node:assert/strict";
import { hashBytes } from "#oci/digest.ts";
import { hostPlatform } from "#oci/platform.ts";
import { formatReference, parseReference } from "#oci/reference.ts";
import { blobSize, readBlob } from "#storage/content.ts";
import { openLease } from "#storage/lease.ts";
import { listNames, readName } from "#storage/names.ts";
import { makeTestStore } from "#storage/test_store.ts";
import { fromText, toText } from "#tar/bytes.ts";
import { readTar } from "#tar/read.ts";
import { NO_LAYERS } from "../collect.ts";
import { findImage } from "../find.ts";
import { publishImage } from "../publish.ts";
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

test("the embedded image is put into the store once, whole, for both architectures", async () => {
  using made = makeTestStore();
  const { store } = made;
  assert.equal(findImage(store, "hello"), undefined);
  await Promise.all([ensureHelloImage(store, 1000), ensureHelloImage(store, 1000)]);
  await ensureHelloImage(store, 2000);
  const { names } = listNames(store);
  assert.deepEqual(names.map(({ reference, createdMs }) => [reference, createdMs]), [[
    "docker.io/dugout/hello:latest",
    1000,
  ]]);
  for (const { digest, bytes } of makeHelloImage().blobs) assert.equal(blobSize(store, digest), bytes.length);
  for (const text of ["hello", "dugout/hello", "dugout/hello:latest", "docker.io/dugout/hello"]) {
    const { image } = findImage(store, text)!;
    assert.equal(image.platform.architecture, hostPlatform().architecture);
    assert.deepEqual(image.config.config.Cmd, ["/hello"]);
    assert.equal(image.layers.length, 2);
  }
  for (const architecture of ["amd64", "arm64"]) {
    const { image } = findImage(store, "hello", { platform: { os: "linux", architecture } })!;
    assert.equal(image.id, HELLO_DIGESTS.get(`config ${architecture}`));
  }
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
  await ensureHelloImage(store);
  const { image } = findImage(store, "hello", { platform: hostPlatform("x64") })!;
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
