import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { type Digest, hashBytes, parseDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { parsePlatform } from "#oci/platform.ts";
import { formatReference } from "#oci/reference.ts";
import { blobPath, type ContentStore, hasBlob } from "#storage/content.ts";
import { listNames } from "#storage/names.ts";
import { listIngest, makeBytes, makeTestStore } from "#storage/test_store.ts";
import { ensureImage, pullAllTags, type PullEvent, type PullHost, pullImage, type ReadyLayer } from "./pull.ts";
import { openRegistryAccess, type RegistryAccess } from "./registry/access.ts";
import { hasCode } from "./registry/error.ts";
import {
  answer,
  answerJson,
  answerRange,
  type LoggedRequest,
  type MadeImage,
  makeImage,
  type Script,
  serveImage,
  startServer,
} from "./registry/scripted_server.ts";

const AMD64 = parsePlatform("linux/amd64");

interface World {
  store: ContentStore;
  access: RegistryAccess;
  host: PullHost;
  events: PullEvent[];
  unpacked: ReadyLayer[];
  waits: number[];
  home: string;
  [Symbol.dispose]: () => void;
}

function unpackWith(unpack: (layer: ReadyLayer) => Promise<void>): NonNullable<PullHost["openUnpacker"]> {
  return () => ({ unpack, [Symbol.asyncDispose]: () => Promise.resolve() });
}

/** A user with these files and an empty store; unpacking only takes note. */
async function makeWorld(files: Record<string, string> = {}): Promise<World> {
  const made = makeTestStore();
  const home = mkdtempSync(join(tmpdir(), "dugout-pull-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), content);
  }
  const waits: number[] = [];
  const access = await openRegistryAccess({ env: {}, home, systemDir: join(home, "etc") }, {
    client: {
      resolveHost: (hostname) => hostname.endsWith(".test") ? "127.0.0.1" : hostname,
      clock: {
        now: Date.now,
        random: () => 0,
        sleep: (ms) => {
          waits.push(ms);
          return Promise.resolve();
        },
      },
    },
  });
  const [events, unpacked]: [PullEvent[], ReadyLayer[]] = [[], []];
  const layers = new Set<Digest>();
  const host: PullHost = {
    store: made.store,
    access,
    nowMs: () => Date.parse("2026-01-02T03:04:05Z"),
    hasLayer: (diffId) => layers.has(diffId),
    openUnpacker: unpackWith((layer) => {
      assert.ok(existsSync(layer.blobPath));
      unpacked.push(layer);
      layers.add(layer.diffId);
      return Promise.resolve();
    }),
    onEvent: (event) => events.push(event),
  };
  return {
    store: made.store,
    access,
    host,
    events,
    unpacked,
    waits,
    home,
    [Symbol.dispose]: () => {
      access.close();
      made[Symbol.dispose]();
      rmSync(home, { recursive: true });
    },
  };
}

async function failure(promise: Promise<unknown>): Promise<DugoutError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof DugoutError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const namesOf = (store: ContentStore): (string | undefined)[] =>
  listNames(store).names.map(({ reference }) => reference);
const blobRequests = (log: readonly LoggedRequest[]): string[] =>
  log.filter(({ url }) => url.includes("/blobs/")).map(({ url }) => url.split("/").at(-1) ?? "");
const layerDigest = (image: MadeImage, at: number): Digest => hashBytes(image.layers[at] ?? new Uint8Array(0));

const IMAGE = makeImage([makeBytes(300_000, 1), makeBytes(200_000, 2), makeBytes(100_000, 3), makeBytes(50_000, 4)]);

test("a pull stores manifest, config and layers as they came, unpacks each layer once, and names the whole", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const result = await pullImage(world.host, { name: `${server.host}/some/image:1`, platform: AMD64 });
  assert.equal(formatReference(result.reference), `${server.host}/some/image:1`);
  assert.equal(result.targetDigest, IMAGE.digest);
  assert.equal(result.isNew, true);
  assert.equal(result.image.id, hashBytes(IMAGE.config));
  for (const bytes of [IMAGE.manifest, ...IMAGE.blobs.values()]) {
    assert.deepEqual(new Uint8Array(readFileSync(blobPath(world.store, hashBytes(bytes)))), new Uint8Array(bytes));
  }
  const layers = IMAGE.layers.map((layer) => blobPath(world.store, hashBytes(layer)));
  assert.deepEqual(world.unpacked.map((layer) => layer.blobPath).sort(), [...layers].sort());
  assert.deepEqual(namesOf(world.store), [`${server.host}/some/image:1`]);
  assert.deepEqual(listIngest(world.store), []);
  const kinds = world.events.map(({ kind }) => kind);
  assert.deepEqual([kinds[0], kinds[1], kinds.at(-1)], ["pulling", "layers", "pulled"]);
  for (const layer of IMAGE.layers) {
    const digest = hashBytes(layer);
    const own = world.events.filter((event) => "digest" in event && event.digest === digest).map(({ kind }) => kind);
    assert.deepEqual([...new Set(own)], ["downloading", "verifying", "downloaded", "extracting", "complete"]);
  }
  const requests = server.log.length;
  const again = await pullImage(world.host, { name: `${server.host}/some/image:1`, platform: AMD64 });
  assert.equal(again.isNew, false);
  assert.equal(server.log.length, requests + 1);
  assert.equal(world.unpacked.length, 4);
  await server.close();
});

test("downloads and unpacking overlap, at most three and two at once", async () => {
  using world = await makeWorld();
  const image = makeImage(Array.from({ length: 8 }, (_, at) => makeBytes(1000 + at, at + 10)));
  let open = 0;
  let mostOpen = 0;
  const server = await startServer(async (request, response) => {
    if (!request.url.includes("/blobs/")) return serveImage(image)(request, response);
    mostOpen = Math.max(mostOpen, ++open);
    await new Promise((resolve) => setTimeout(resolve, 10));
    open--;
    return serveImage(image)(request, response);
  });
  let unpacking = 0;
  let mostUnpacking = 0;
  let requestsAtFirst: number | undefined;
  const openUnpacker = unpackWith(async () => {
    requestsAtFirst ??= blobRequests(server.log).length;
    mostUnpacking = Math.max(mostUnpacking, ++unpacking);
    await new Promise((resolve) => setTimeout(resolve, 15));
    unpacking--;
  });
  await pullImage({ ...world.host, openUnpacker, hasLayer: undefined }, { name: `${server.host}/x`, platform: AMD64 });
  assert.equal(mostOpen, 3);
  assert.equal(mostUnpacking, 2);
  assert.ok((requestsAtFirst ?? 99) < 9, String(requestsAtFirst));
  await server.close();
});

test("C-046 C-047 an interrupted pull leaves no name, and the next one goes on from what has come", async () => {
  using world = await makeWorld();
  const controller = new AbortController();
  let isCut = true;
  const server = await startServer((request, response) => {
    if (!isCut || !request.url.endsWith(layerDigest(IMAGE, 0))) return serveImage(IMAGE)(request, response);
    const bytes = IMAGE.layers[0] ?? new Uint8Array(0);
    response.writeHead(200, { "content-length": String(bytes.length) });
    response.write(bytes.subarray(0, 120_000), () => setTimeout(() => controller.abort(), 50));
  });
  const name = `${server.host}/some/image`;
  await assert.rejects(pullImage(world.host, { name, platform: AMD64, signal: controller.signal }));
  assert.deepEqual(namesOf(world.store), []);
  assert.ok(
    listIngest(world.store).some((file) => file.startsWith(layerDigest(IMAGE, 0).slice(7)) && file.endsWith(".part")),
  );
  assert.ok(listIngest(world.store).every((file) => !file.endsWith(".lease")));
  isCut = false;
  server.log.length = 0;
  const result = await pullImage(world.host, { name, platform: AMD64 });
  assert.equal(result.isNew, true);
  assert.equal(server.log.find(({ url }) => url.endsWith(layerDigest(IMAGE, 0)))?.headers["range"], "bytes=120000-");
  assert.deepEqual(listIngest(world.store), []);
  await server.close();
});

test("C-035 a beginning that an earlier process left and that is wrong is thrown away and fetched anew, once", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const digest = layerDigest(IMAGE, 0);
  writeFileSync(join(world.store.path, "ingest", `${digest.slice(7)}.part`), Buffer.alloc(100_000, "wrong"));
  await pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 });
  const ranges = server.log.filter(({ url }) => url.endsWith(digest)).map(({ headers }) => headers["range"]);
  assert.deepEqual(ranges, ["bytes=100000-", undefined]);
  await server.close();
});

test("C-035 a registry that gives no ranges, or wrong ones, is asked for all of it, once", async () => {
  for (const refusal of [416, 206]) {
    using world = await makeWorld();
    const digest = layerDigest(IMAGE, 0);
    const server = await startServer((request, response) => {
      if (request.headers["range"] === undefined) return serveImage(IMAGE)(request, response);
      answer(response, refusal, "x", { "content-range": refusal === 206 ? "bytes 5-5/300000" : "bytes */300000" });
    });
    writeFileSync(
      join(world.store.path, "ingest", `${digest.slice(7)}.part`),
      (IMAGE.layers[0] ?? new Uint8Array(0)).subarray(0, 100_000),
    );
    await pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 });
    assert.equal(server.log.filter(({ url }) => url.endsWith(digest)).length, 2);
    await server.close();
  }
});

test("C-046 C-049 ten pulls of one image at once download each blob once and all succeed", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const results = await Promise.all(
    Array.from({ length: 10 }, () => pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 })),
  );
  assert.equal(new Set(results.map(({ image }) => image.id)).size, 1);
  const layerRequests = blobRequests(server.log).filter((digest) => digest !== hashBytes(IMAGE.config));
  assert.deepEqual(layerRequests.sort(), IMAGE.layers.map((layer) => hashBytes(layer) as string).sort());
  assert.deepEqual(listIngest(world.store), []);
  await server.close();
});

test("C-045 a layer that does not fit ends the pull at once, with the file system, what is needed and what is free", async () => {
  using world = await makeWorld();
  const manifest = JSON.parse(Buffer.from(IMAGE.manifest).toString());
  manifest.layers[1].size = 10 ** 15;
  const huge = { ...IMAGE, manifest: Buffer.from(JSON.stringify(manifest)) };
  const server = await startServer(serveImage({ ...huge, digest: hashBytes(huge.manifest) }));
  const error = await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }));
  assert.equal(error.code, "ENOSPC");
  assert.match(error.message, /file system ".*" is full: .* more needed, .* free/);
  assert.deepEqual(world.waits, []);
  assert.deepEqual(namesOf(world.store), []);
  await server.close();
});

test("A-010 one failure ends all stages: other downloads stop, the cause is told, nothing has a name", async () => {
  using world = await makeWorld();
  const server = await startServer((request, response) => {
    if (request.url.endsWith(layerDigest(IMAGE, 0))) {
      return void response.writeHead(200, { "content-length": "300000" }).write("x");
    }
    return serveImage(IMAGE)(request, response);
  });
  const openUnpacker = unpackWith(() => Promise.reject(new DugoutError("LAYER_BAD", "Cannot unpack it: no tar")));
  const error = await failure(
    pullImage({ ...world.host, openUnpacker }, { name: `${server.host}/x`, platform: AMD64 }),
  );
  assert.equal(error.code, "LAYER_BAD");
  assert.deepEqual(namesOf(world.store), []);
  await server.close();
});

test("C-033 an image by digest is stored under its digest and found again without the registry", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const name = `${server.host}/some/image@${IMAGE.digest}`;
  const result = await pullImage(world.host, {
    name: `${server.host}/some/image:tag@${IMAGE.digest}`,
    platform: AMD64,
  });
  assert.equal(formatReference(result.reference), name);
  assert.deepEqual(namesOf(world.store), [name]);
  await server.close();
  const found = await ensureImage(world.host, { name, platform: AMD64 }, "never");
  assert.equal(found.image.id, hashBytes(IMAGE.config));
});

test("A-022 another image than the digest in the name is refused, whoever sends it", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const other = parseDigest("sha256:" + "1".repeat(64));
  assert.equal(
    (await failure(pullImage(world.host, { name: `${server.host}/x@${other}`, platform: AMD64 }))).code,
    "DIGEST_MISMATCH",
  );
  await server.close();
});

test("A-022 pull policies: never and missing send nothing, newer asks by HEAD and is content without an answer", async () => {
  using world = await makeWorld();
  let image = IMAGE;
  const server = await startServer((request, response) => serveImage(image)(request, response));
  const request = { name: `${server.host}/some/image`, platform: AMD64 };
  assert.equal((await failure(ensureImage(world.host, request, "never"))).code, "IMAGE_UNKNOWN");
  assert.equal(server.log.length, 0);
  assert.ok((await ensureImage(world.host, request, "missing")).pulled?.isNew);
  server.log.length = 0;
  for (const policy of ["never", "missing"] as const) {
    assert.equal((await ensureImage(world.host, request, policy)).pulled, undefined);
  }
  assert.equal(server.log.length, 0);
  assert.equal((await ensureImage(world.host, request, "newer")).pulled, undefined);
  assert.deepEqual(server.log.map(({ method }) => method), ["HEAD"]);
  assert.equal((await ensureImage(world.host, request, "always")).pulled?.isNew, false);
  image = makeImage([makeBytes(1000, 77)]);
  const newer = await ensureImage(world.host, request, "newer");
  assert.equal(newer.pulled?.targetDigest, image.digest);
  assert.equal(newer.pulled?.isNew, true);
  await server.close();
  assert.equal((await ensureImage(world.host, request, "newer")).image.manifestDigest, image.digest);
  assert.ok(world.events.some((event) => event.kind === "notice"));
  const byId = await ensureImage(world.host, { name: newer.image.id, platform: AMD64 }, "always");
  assert.equal(byId.image.manifestDigest, image.digest);
  assert.equal(
    (await failure(ensureImage(world.host, { name: `sha256:${"0".repeat(64)}` }, "always"))).code,
    "IMAGE_UNKNOWN",
  );
});

test("C-128 a foreign layer comes from the registry if it is there, else from an address that the configuration allows", async () => {
  const layer = makeBytes(5000, 5);
  const storage = await startServer((request, response) => answerRange(request, response, layer));
  const image = makeImage([layer], { layerType: MEDIA_TYPES.ociForeignLayer });
  const manifest = JSON.parse(Buffer.from(image.manifest).toString());
  manifest.layers[0].urls = ["file:///etc/hostname", `http://127.0.0.1:${storage.port}/layer`];
  const foreign = { ...image, manifest: Buffer.from(JSON.stringify(manifest)) };
  const lacking: Script = (request, response) =>
    request.url.endsWith(hashBytes(layer))
      ? answerJson(response, 404, { errors: [{ code: "BLOB_UNKNOWN", message: "unknown" }] })
      : serveImage({ ...foreign, digest: hashBytes(foreign.manifest) })(request, response);
  const server = await startServer(lacking);
  {
    using world = await makeWorld();
    const error = await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }));
    assert.equal(error.code, "FOREIGN_LAYER_UNAVAILABLE");
    assert.match(error.message, new RegExp(`${hashBytes(layer)}.*http://127\\.0\\.0\\.1:${storage.port}/layer`));
    assert.equal(storage.log.length, 0);
  }
  {
    using world = await makeWorld({
      ".config/dugout/registry.toml": `foreign-layer-hosts = ["127.0.0.1:${storage.port}", "file", ""]`,
      ".docker/config.json": JSON.stringify({ auths: { [`127.0.0.1:${storage.port}`]: { auth: btoa("u:p") } } }),
    });
    await pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 });
    assert.equal(storage.log.length, 1);
    assert.equal(storage.log[0]?.headers["authorization"], undefined);
  }
  await Promise.all([server.close(), storage.close()]);
});

test("A-016 urls of an ordinary layer are ignored, allowed or not", async () => {
  const storage = await startServer((_request, response) => answer(response, 200, "x"));
  const manifest = JSON.parse(Buffer.from(IMAGE.manifest).toString());
  for (const layer of manifest.layers) layer.urls = [`http://127.0.0.1:${storage.port}/`, "file:///etc/hostname"];
  const bytes = Buffer.from(JSON.stringify(manifest));
  const server = await startServer((request, response) =>
    request.url.endsWith(layerDigest(IMAGE, 2))
      ? answer(response, 404)
      : serveImage({ ...IMAGE, manifest: bytes, digest: hashBytes(bytes) })(request, response)
  );
  using world = await makeWorld({
    ".config/dugout/registry.toml": `foreign-layer-hosts = ["127.0.0.1:${storage.port}"]`,
  });
  assert.equal((await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }))).code, "NOT_FOUND");
  assert.equal(storage.log.length, 0);
  await Promise.all([server.close(), storage.close()]);
});

test("C-129 one empty layer three times is fetched and unpacked once", async () => {
  using world = await makeWorld();
  const empty = makeBytes(40, 9);
  const image = makeImage([empty, makeBytes(1000, 8), empty, empty]);
  const server = await startServer(serveImage(image));
  const { image: content } = await pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 });
  assert.equal(content.layers.length, 4);
  assert.equal(world.unpacked.length, 2);
  assert.equal(blobRequests(server.log).length, 3);
  await server.close();
});

test("C-129 another number of diff-ids than layers is refused with both, before a layer is fetched", async () => {
  using world = await makeWorld();
  const image = makeImage(IMAGE.layers, { diffIds: [hashBytes("x")] });
  const server = await startServer(serveImage(image));
  const error = await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }));
  assert.equal(error.code, "LAYERS_MISMATCH");
  assert.match(error.message, /4 layers .* 1 diff-ids/);
  assert.equal(blobRequests(server.log).length, 1);
  await server.close();
});

test("a layer of an unknown type is refused by its name", async () => {
  using world = await makeWorld();
  const server = await startServer(
    serveImage(makeImage([makeBytes(10)], { layerType: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" })),
  );
  const error = await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }));
  assert.equal(error.code, "MEDIA_TYPE_UNKNOWN");
  assert.match(error.hint ?? "", /Encrypted/);
  await server.close();
});

test("an image for another platform alone: a notice without --platform, an error with it", async () => {
  using world = await makeWorld();
  const image = makeImage([makeBytes(10)], { architecture: "riscv64" });
  const server = await startServer(serveImage(image));
  assert.equal(
    (await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }))).code,
    "PLATFORM_MISMATCH",
  );
  await pullImage(world.host, { name: `${server.host}/x` });
  assert.ok(world.events.some((event) => event.kind === "notice" && event.line.includes("riscv64")));
  await server.close();
});

test("all tags are pulled, those that are no image are left out with a notice, layers are shared", async () => {
  using world = await makeWorld();
  const chart = Buffer.from(
    Buffer.from(IMAGE.manifest).toString().replace(MEDIA_TYPES.ociConfig, "application/vnd.chart+json"),
  );
  const server = await startServer((request, response) => {
    if (request.url.includes("/tags/list")) return answerJson(response, 200, { name: "x", tags: ["1", "chart", "2"] });
    if (request.url.endsWith("/manifests/chart")) {
      return answer(response, 200, chart, { "content-type": MEDIA_TYPES.ociManifest });
    }
    return serveImage(IMAGE)(request, response);
  });
  const results = await pullAllTags(world.host, { name: `${server.host}/x`, platform: AMD64 });
  assert.deepEqual(results.map(({ reference }) => reference.tag), ["1", "2"]);
  assert.equal(blobRequests(server.log).length, 5);
  assert.ok(world.events.some((event) => event.kind === "notice" && event.line.includes("vnd.chart+json")));
  assert.equal((await failure(pullAllTags(world.host, { name: `${server.host}/x:1` }))).code, "REFERENCE_INVALID");
  await server.close();
});

test("A-022 mirrors are asked in order and only where configured; the name stays, a blob that a mirror lacks comes from the registry", async () => {
  const [empty, partial, primary, stranger] = await Promise.all([
    startServer((request, response) => answer(response, request.url === "/v2/" ? 200 : 404)),
    startServer((request, response) =>
      request.url.endsWith(layerDigest(IMAGE, 1)) ? answer(response, 404) : serveImage(IMAGE)(request, response)
    ),
    startServer(serveImage(IMAGE)),
    startServer(serveImage(IMAGE)),
  ]);
  using world = await makeWorld({
    ".config/containers/registries.conf": `
      [[registry]]
      prefix = "reg.test/team"
      location = "${primary.host}/moved"
      [[registry.mirror]]
      location = "${empty.host}/m"
      [[registry.mirror]]
      location = "${partial.host}/m"
      [[registry]]
      location = "${stranger.host}"
      blocked = true
    `,
  });
  const result = await pullImage(world.host, { name: "reg.test/team/x:1", platform: AMD64 });
  assert.equal(formatReference(result.reference), "reg.test/team/x:1");
  assert.ok(empty.log.some(({ url }) => url === "/v2/m/x/manifests/1"));
  assert.ok(partial.log.some(({ url }) => url === "/v2/m/x/manifests/1"));
  assert.deepEqual(primary.log.map(({ url }) => url), ["/v2/", `/v2/moved/x/blobs/${layerDigest(IMAGE, 1)}`]);
  assert.equal((await failure(pullImage(world.host, { name: `${stranger.host}/x` }))).code, "BLOCKED");
  assert.equal(stranger.log.length, 0);
  await Promise.all([empty, partial, primary, stranger].map((server) => server.close()));
});

test("A-022 a short name is tried at the search registries in order, and the error names all that were asked", async () => {
  const first = await startServer((request, response) => answer(response, request.url === "/v2/" ? 200 : 404));
  const second = await startServer((request, response) =>
    request.url.includes("/there/")
      ? serveImage(IMAGE)(request, response)
      : answer(response, request.url === "/v2/" ? 200 : 404)
  );
  using world = await makeWorld({
    ".config/containers/registries.conf": `unqualified-search-registries = ["${first.host}", "${second.host}"]`,
  });
  const result = await pullImage(world.host, { name: "there/x", platform: AMD64 });
  assert.equal(formatReference(result.reference), `${second.host}/there/x:latest`);
  assert.ok(first.log.length > 0);
  const error = await failure(pullImage(world.host, { name: "nowhere/x", platform: AMD64 }));
  assert.equal(error.code, "IMAGE_NOT_FOUND");
  assert.ok(error.message.includes(first.host) && error.message.includes(second.host));
  first.log.length = 0;
  assert.equal((await ensureImage(world.host, { name: "there/x", platform: AMD64 }, "missing")).pulled, undefined);
  assert.equal(first.log.length, 0);
  await Promise.all([first.close(), second.close()]);
});

test("C-052 nothing of the content goes through TMPDIR", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = join(world.home, "does", "not", "exist");
  try {
    await pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 });
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
  }
  await server.close();
});

test("a layer that another process removes in the middle is fetched again before the image gets its name", async () => {
  using world = await makeWorld();
  const server = await startServer(serveImage(IMAGE));
  const victim = blobPath(world.store, layerDigest(IMAGE, 3));
  let isRemoved = false;
  const openUnpacker: PullHost["openUnpacker"] = (missing) => {
    const inner = world.host.openUnpacker!(missing);
    return {
      ...inner,
      async unpack(layer) {
        await inner.unpack(layer);
        if (layer.blobPath !== victim || isRemoved) return;
        isRemoved = true;
        rmSync(victim);
      },
    };
  };
  await pullImage({ ...world.host, openUnpacker }, { name: `${server.host}/x`, platform: AMD64 });
  assert.ok(hasBlob(world.store, layerDigest(IMAGE, 3)));
  assert.equal(blobRequests(server.log).filter((digest) => digest === layerDigest(IMAGE, 3)).length, 2);
  await server.close();
});

test("C-036 C-037 passing faults in the middle of a pull are waited out", async () => {
  using world = await makeWorld();
  const failed = new Set<string>();
  const server = await startServer((request, response) => {
    if (request.url !== "/v2/" && !failed.has(request.url)) {
      failed.add(request.url);
      return answer(
        response,
        failed.size % 2 === 0 ? 429 : 502,
        "",
        failed.size % 2 === 0 ? { "retry-after": "1" } : {},
      );
    }
    return serveImage(IMAGE)(request, response);
  });
  await pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 });
  assert.equal(world.waits.length, 6);
  await server.close();
});

test("a registry that does not know the image says so, with what to do", async () => {
  using world = await makeWorld();
  const server = await startServer((request, response) =>
    request.url === "/v2/"
      ? answer(response, 200)
      : answerJson(response, 404, { errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] })
  );
  const error = await failure(pullImage(world.host, { name: `${server.host}/x`, platform: AMD64 }));
  assert.ok(hasCode(error, "NOT_FOUND"));
  assert.equal(
    error.message,
    `Cannot get the manifest of "${server.host}/x:latest": registry "${server.host}" answered 404 Not Found: MANIFEST_UNKNOWN: manifest unknown`,
  );
  await server.close();
});
