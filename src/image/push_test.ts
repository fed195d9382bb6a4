import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, hashBytes } from "#oci/digest.ts";
import { encodeImageConfig, parseImageConfig } from "#oci/image_config.ts";
import { encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { parsePlatform } from "#oci/platform.ts";
import { parseReference } from "#oci/reference.ts";
import { blobPath, type ContentStore, readBlob } from "#storage/content.ts";
import { putBlob } from "#storage/ingest.ts";
import { openLease } from "#storage/lease.ts";
import { readName } from "#storage/names.ts";
import { makeTestStore } from "#storage/test_store.ts";
import { readDocument } from "./closure.ts";
import { getImage } from "./find.ts";
import { pullImage } from "./pull.ts";
import { pushAllTags, type PushEvent, type PushHost, pushImage } from "./push.ts";
import { hostEndpoint, openRegistryAccess } from "./registry/access.ts";
import { hasCode } from "./registry/error.ts";
import { checkLogin } from "./registry/login.ts";
import { makePushServer, type PushServer } from "./registry/push_server.ts";
import { searchImages } from "./registry/search.ts";
import { listTags } from "./registry/tags.ts";
import { answerJson, type LoggedRequest, makeImage, serveImage, startServer } from "./registry/scripted_server.ts";
import { addTestImage, nameTestTarget, putTestImage, putTestIndex } from "./testing.ts";

interface World {
  store: ContentStore;
  server: PushServer;
  host: string;
  log: LoggedRequest[];
  events: PushEvent[];
  push: PushHost;
  /** What the registry has under a repository and tag. */
  sent: (name: string) => string | undefined;
}

async function withWorld(
  use: (world: World) => Promise<void>,
  intercept?: Parameters<typeof makePushServer>[0],
): Promise<void> {
  using made = makeTestStore();
  const home = mkdtempSync(join(tmpdir(), "dugout-push-"));
  const server = makePushServer(intercept);
  const listening = await startServer(server.script);
  const events: PushEvent[] = [];
  using access = await openRegistryAccess({ env: {}, home, systemDir: join(home, "etc") });
  try {
    const { host, log } = listening;
    const push = { store: made.store, access, onEvent: (event: PushEvent) => events.push(event) };
    const sent = (name: string) => {
      const found = server.manifests.get(name);
      return found === undefined ? undefined : hashBytes(found.bytes);
    };
    await use({ store: made.store, server, host, log, events, push, sent });
  } finally {
    await listening.close();
    rmSync(home, { recursive: true, force: true });
  }
}

const kinds = (events: readonly PushEvent[]) => events.map(({ kind }) => kind).filter((kind) => kind !== "sending");

test("C-034 what is pushed is byte for byte what was pulled, whatever its form", async () => {
  for (const docker of [false, true]) {
    for (const compression of ["none", "gzip", "zstd"] as const) {
      await withWorld(async ({ store, host, push, server, sent, events }) => {
        const { target } = await addTestImage(store, `${host}/some/app:1`, {
          layers: ["a", "b", "a"],
          docker,
          compression,
        });
        const result = await pushImage(push, { name: `${host}/some/app:1` });
        assert.equal(result.digest, target.digest);
        assert.equal(sent("some/app 1"), target.digest);
        assert.equal(server.manifests.get("some/app 1")?.mediaType, target.mediaType);
        for (const [key, bytes] of server.blobs) assert.equal(key, `some/app ${hashBytes(bytes)}`);
        // config and two layers: the one that occurs twice goes once
        assert.equal(server.blobs.size, 3);
        assert.deepEqual(kinds(events), ["pushing", "layers", "sent", "sent", "pushed"]);
      });
    }
  }
});

test("C-034 a manifest of odd spelling, pulled from one registry, comes to another unchanged", async () => {
  const image = makeImage([new TextEncoder().encode("not even a layer")]);
  const odd = { ...image, manifest: Buffer.concat([Buffer.from("\n  "), image.manifest, Buffer.from("\t\n")]) };
  odd.digest = hashBytes(odd.manifest);
  const from = await startServer(serveImage(odd));
  try {
    await withWorld(async ({ store, host, push, server }) => {
      const pull = { store, access: push.access, nowMs: Date.now };
      await pullImage(pull, { name: `${from.host}/some/app:1` });
      const { target } = readTarget(store, `${from.host}/some/app:1`);
      using lease = openLease(store);
      await nameTestTarget(lease, `${host}/copy:2`, target);
      await pushImage(push, { name: `${host}/copy:2` });
      assert.deepEqual(Buffer.from(server.manifests.get("copy 2")!.bytes), odd.manifest);
    });
  } finally {
    await from.close();
  }
});

function readTarget(store: ContentStore, name: string): { target: Descriptor } {
  const found = readName(store, name);
  assert.ok(found);
  return found;
}

test("a second push of the same finds everything there; layers are told the topmost first", async () => {
  await withWorld(async ({ store, host, push, events, log }) => {
    await addTestImage(store, `${host}/app:latest`, { layers: ["a", "b"] });
    await pushImage(push, { name: `${host}/app` });
    const [, layers] = events;
    assert.ok(layers?.kind === "layers");
    const diffIds = readDiffIds(store, `${host}/app:latest`).toReversed();
    assert.deepEqual(layers.labels, diffIds);
    events.length = log.length = 0;
    await pushImage(push, { name: `${host}/app` });
    assert.deepEqual(kinds(events), ["pushing", "layers", "exists", "exists", "pushed"]);
    assert.ok(log.every(({ method }) => method === "HEAD" || method === "PUT" || method === "GET"));
  });
});

function readDiffIds(store: ContentStore, name: string): Digest[] {
  return getImage(store, name).layers.map(({ diffId }) => diffId);
}

test("C-040 a layer is mounted from a repository of the same registry whose name is here, never from another registry", async () => {
  await withWorld(async ({ store, host, push, server, events, log }) => {
    await addTestImage(store, `${host}/base:1`, { layers: ["a"] });
    await pushImage(push, { name: `${host}/base:1` });
    await addTestImage(store, `${host}/app:1`, { layers: ["a", "b"] });
    await addTestImage(store, `elsewhere.test/stranger:1`, { layers: ["b"] });
    events.length = log.length = 0;
    await pushImage(push, { name: `${host}/app:1` });
    const mounts = log.filter(({ url }) => url.includes("mount="));
    assert.deepEqual(mounts.map(({ url }) => new URL(url, "http://h").searchParams.get("from")), ["base"]);
    const mounted = events.find((event) => event.kind === "mounted");
    assert.ok(mounted?.kind === "mounted" && mounted.from === "base");
    assert.equal([...server.blobs.keys()].filter((key) => key.startsWith("app ")).length, 3);
  });
});

test("C-128 a foreign layer is not sent, its descriptor stays", async () => {
  await withWorld(async ({ store, host, push, server, events }) => {
    const { target } = await addForeignImage(store, `${host}/win:1`);
    await pushImage(push, { name: `${host}/win:1` });
    assert.equal(hashBytes(server.manifests.get("win 1")!.bytes), target.digest);
    assert.equal(server.blobs.size, 2);
    assert.ok(kinds(events).includes("foreign"));
  });
});

async function addForeignImage(store: ContentStore, name: string): Promise<{ target: Descriptor }> {
  using lease = openLease(store);
  const { target: plain } = await putTestImage(lease, { layers: ["a"] });
  const document = readDocument(store, plain);
  assert.ok(document.kind === "manifest");
  const { manifest } = document;
  const foreign = {
    mediaType: MEDIA_TYPES.ociForeignLayerGzip,
    digest: hashBytes(new Uint8Array([1])),
    size: 1,
    urls: ["https://elsewhere.test/layer"],
  };
  const config = parseImageConfig(readBlob(store, manifest.config.digest, { maxBytes: 1e6 }), "the config");
  const stored = await putBlob(
    lease,
    encodeImageConfig({ ...config, diffIds: [...config.diffIds, hashBytes(new Uint8Array([2]))], history: [] }),
  );
  const bytes = encodeManifest({
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, ...stored },
    layers: [...manifest.layers, foreign],
  });
  const target = { mediaType: MEDIA_TYPES.ociManifest, ...await putBlob(lease, bytes) };
  await nameTestTarget(lease, name, target);
  return { target };
}

async function addIndex(
  store: ContentStore,
  name: string,
  absent: readonly Descriptor[] = [],
): Promise<{ index: Descriptor; amd64: Descriptor; arm64: Descriptor }> {
  using lease = openLease(store);
  const platforms = ["linux/amd64", "linux/arm64"].map((text) => parsePlatform(text));
  const made: Descriptor[] = [];
  for (const platform of platforms) {
    const { architecture } = platform;
    const { target } = await putTestImage(lease, { layers: ["a", architecture], config: { architecture } });
    made.push({ ...target, platform });
  }
  const [amd64, arm64] = made;
  const index = await putTestIndex(lease, [...made, ...absent]);
  await nameTestTarget(lease, name, index);
  return { index, amd64: amd64!, arm64: arm64! };
}

test("an index of which all is here goes as a whole, children first", async () => {
  await withWorld(async ({ store, host, push, server, sent, log }) => {
    const { index, amd64, arm64 } = await addIndex(store, `${host}/multi:1`);
    const { digest } = await pushImage(push, { name: `${host}/multi:1` });
    assert.equal(digest, index.digest);
    assert.equal(sent("multi 1"), index.digest);
    const puts = log.filter(({ method, url }) => method === "PUT" && url.includes("/manifests/"));
    assert.deepEqual(puts.map(({ url }) => url.split("/").at(-1)), [amd64.digest, arm64.digest, "1"]);
    assert.equal(server.blobs.size, 5);
  });
});

test("of an index with absent platforms the wanted image goes alone, and a line says so", async () => {
  const absent: Descriptor = {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: hashBytes(new Uint8Array([9])),
    size: 1,
    platform: parsePlatform("linux/s390x"),
  };
  await withWorld(async ({ store, host, push, events, sent }) => {
    const { arm64, index } = await addIndex(store, `${host}/multi:1`, [absent]);
    const { digest } = await pushImage(push, { name: `${host}/multi:1` });
    assert.notEqual(digest, index.digest);
    const notice = events.find((event) => event.kind === "notice");
    assert.ok(notice?.kind === "notice" && notice.line.includes("Not all platforms of"));
    await pushImage(push, { name: `${host}/multi:1`, platform: parsePlatform("linux/arm64") });
    assert.equal(sent("multi 1"), arm64.digest);
    await assert.rejects(
      () => pushImage(push, { name: `${host}/multi:1`, platform: parsePlatform("linux/riscv64") }),
      (error) => hasCode(error, "IMAGE_UNKNOWN"),
    );
  });
});

test("--all-tags pushes the tags of the repository that are here, and no other's", async () => {
  await withWorld(async ({ store, host, push, server }) => {
    for (const tag of ["1", "2", "latest"]) await addTestImage(store, `${host}/app:${tag}`, { layers: ["a", tag] });
    await addTestImage(store, `${host}/app-two:1`, { layers: ["a"] });
    const results = await pushAllTags(push, { name: `${host}/app` });
    assert.deepEqual(results.map(({ reference }) => reference.tag).toSorted(), ["1", "2", "latest"]);
    const tags = [...server.manifests.keys()].filter((key) => !key.includes("sha256:")).toSorted();
    assert.deepEqual(tags, ["app 1", "app 2", "app latest"]);
    await assert.rejects(
      () => pushAllTags(push, { name: `${host}/app:1` }),
      (error) => hasCode(error, "REFERENCE_INVALID"),
    );
  });
});

test("what is not here, has a digest or is damaged is not pushed, and nothing is named there", async () => {
  await withWorld(async ({ store, host, push, server }) => {
    await assert.rejects(() => pushImage(push, { name: `${host}/none` }), (error) => hasCode(error, "IMAGE_UNKNOWN"));
    const { target } = await addTestImage(store, `${host}/app:1`, { layers: ["a", "b"] });
    await assert.rejects(
      () => pushImage(push, { name: `${host}/app@${target.digest}` }),
      (error) => hasCode(error, "REFERENCE_INVALID"),
    );
    const document = readDocument(store, target);
    assert.ok(document.kind === "manifest");
    const [layer] = document.manifest.layers;
    writeFileSync(blobPath(store, layer!.digest), new Uint8Array(layer!.size));
    await assert.rejects(
      () => pushImage(push, { name: `${host}/app:1` }),
      (error) => hasCode(error, "DIGEST_MISMATCH"),
    );
    writeFileSync(blobPath(store, layer!.digest), new Uint8Array(1));
    await assert.rejects(() => pushImage(push, { name: `${host}/app:1` }), (error) => hasCode(error, "IMAGE_DAMAGED"));
    assert.equal(server.manifests.size, 0);
  });
});

test("C-041 the first failure ends a push, and names the layer", async () => {
  await withWorld(async ({ store, host, push, server }) => {
    await addTestImage(store, `${host}/app:1`, { layers: ["a", "b", "c", "d", "e", "f"] });
    await assert.rejects(
      () => pushImage(push, { name: `${host}/app:1` }),
      /Cannot push the (layer|config) "sha256:[0-9a-f]{64}": registry/,
    );
    assert.equal(server.manifests.size, 0);
  }, (request, response) => {
    if (request.method !== "POST") return false;
    response.writeHead(202, { "content-length": "0" });
    response.end();
    return true;
  });
});

test("a registry that makes another digest of the manifest is not believed", async () => {
  await withWorld(async ({ store, host, push }) => {
    await addTestImage(store, `${host}/app:1`);
    await assert.rejects(
      () => pushImage(push, { name: `${host}/app:1` }),
      (error) => hasCode(error, "DIGEST_MISMATCH"),
    );
  }, (request, response) => {
    if (request.method !== "PUT" || !request.url.includes("/manifests/")) return false;
    response.writeHead(201, { "content-length": "0", "docker-content-digest": hashBytes(new Uint8Array([1])) });
    response.end();
    return true;
  });
});

test("C-044 A-018 pull, push, login, search and tags have one policy for plain HTTP: nowhere unasked, then for that host alone", async () => {
  const image = makeImage([new TextEncoder().encode("a layer")]);
  const registry = makePushServer();
  const serve = serveImage(image);
  const listening = await startServer((request, response) => {
    if (request.url.startsWith("/v2/_catalog")) return answerJson(response, 200, { repositories: ["some/app"] });
    if (request.url.includes("/tags/list")) return answerJson(response, 200, { tags: ["1"] });
    return request.method === "GET" ? serve(request, response) : registry.script(request, response);
  });
  const host = `registry.test:${listening.port}`;
  const conf = `[[registry]]\nlocation = "${host}"\ninsecure = true\n`;
  try {
    for (const way of ["nothing", "flag", "registries.conf"] as const) {
      using made = makeTestStore();
      const { store } = made;
      const home = mkdtempSync(join(tmpdir(), "dugout-push-"));
      mkdirSync(join(home, "etc"));
      if (way === "registries.conf") writeFileSync(join(home, "etc/registries.conf"), conf);
      using access = await openRegistryAccess({ env: {}, home, systemDir: join(home, "etc") }, {
        tlsVerify: way === "flag" ? false : undefined,
        client: { attempts: 1, resolveHost: () => "127.0.0.1" },
      });
      await addTestImage(store, `${host}/mine:1`);
      const credentials = { kind: "password", username: "me", password: "secret" } as const;
      const endpoint = access.endpoints(parseReference(`${host}/some/app:1`)).at(-1)!;
      const acts: Record<string, () => Promise<unknown>> = {
        pull: () => pullImage({ store, access, nowMs: Date.now }, { name: `${host}/some/app:1` }),
        push: () => pushImage({ store, access }, { name: `${host}/mine:1` }),
        login: () => checkLogin(access.client, hostEndpoint(access, host), credentials),
        search: () => searchImages(access.client, { term: `${host}/app` }, access.isInsecure),
        tags: () => listTags(access.client, endpoint),
      };
      for (const [name, act] of Object.entries(acts)) {
        listening.log.length = 0;
        if (way !== "nothing") {
          await act();
          assert.ok(listening.log.length > 0, name);
          continue;
        }
        await assert.rejects(act, (error) => hasCode(error, "TLS_REQUIRED", "CONNECTION_FAILED"), name);
        assert.deepEqual(listening.log, [], name);
      }
      rmSync(home, { recursive: true, force: true });
    }
  } finally {
    await listening.close();
  }
});

test("A-022 a push goes where the configuration leads the name, never to a mirror, and to no blocked place", async () => {
  using made = makeTestStore();
  const { store } = made;
  const [own, mirror] = [makePushServer(), makePushServer()];
  const [at, beside] = [await startServer(own.script), await startServer(mirror.script)];
  const home = mkdtempSync(join(tmpdir(), "dugout-push-"));
  mkdirSync(join(home, "etc"));
  writeFileSync(
    join(home, "etc/registries.conf"),
    `[[registry]]\nprefix = "docker.io"\nlocation = "${at.host}"\n[[registry.mirror]]\nlocation = "${beside.host}"\n` +
      `[[registry]]\nprefix = "blocked.test"\nblocked = true\n`,
  );
  try {
    using access = await openRegistryAccess({ env: {}, home, systemDir: join(home, "etc") });
    const { target } = await addTestImage(store, "app:1");
    await addTestImage(store, "blocked.test/app:1");
    await pushImage({ store, access }, { name: "app:1" });
    assert.equal(hashBytes(own.manifests.get("library/app 1")!.bytes), target.digest);
    assert.deepEqual(beside.log, []);
    await assert.rejects(
      () => pushImage({ store, access }, { name: "blocked.test/app:1" }),
      (error) => hasCode(error, "BLOCKED"),
    );
  } finally {
    await at.close();
    await beside.close();
    rmSync(home, { recursive: true, force: true });
  }
});
