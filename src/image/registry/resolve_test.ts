import assert from "node:assert/strict";
import { test } from "node:test";
import { hashBytes, parseDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { mutateJson } from "#oci/fuzz_support.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import { parsePlatform } from "#oci/platform.ts";
import { endpointOf, makeTestClient } from "./client_support.ts";
import { resolveImage } from "./resolve.ts";
import { answer, answerJson, makeImage, startServer } from "./scripted_server.ts";

const AMD64 = parsePlatform("linux/amd64");

type Document = { type: string; bytes: Uint8Array };
const manifest = (image: ReturnType<typeof makeImage>): Document => ({
  type: MEDIA_TYPES.ociManifest,
  bytes: image.manifest,
});
const entry = ({ type, bytes }: Document, platform?: string, more: object = {}) => {
  const [os, architecture, variant] = platform?.split("/") ?? [];
  return {
    mediaType: type,
    digest: hashBytes(bytes),
    size: bytes.length,
    ...(platform === undefined ? {} : { platform: { os, architecture, variant } }),
    ...more,
  };
};
const index = (entries: object[]): Document => ({
  type: MEDIA_TYPES.ociIndex,
  bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: entries })),
});

/** Serves documents by digest, the last one under every tag. */
async function resolveFrom(documents: Document[], platform = AMD64) {
  const last = documents[documents.length - 1]!;
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") return answer(response, 200);
    const name = request.url.split("/").at(-1) ?? "";
    const found = name.startsWith("sha256:") ? documents.find(({ bytes }) => hashBytes(bytes) === name) : last;
    if (found === undefined) {
      return answerJson(response, 404, { errors: [{ code: "MANIFEST_UNKNOWN", message: "no" }] });
    }
    answer(response, 200, found.bytes, { "content-type": found.type });
  });
  const { client } = makeTestClient();
  try {
    const resolved = await resolveImage(client, endpointOf(server.host), { tag: "latest" }, platform, '"the image"');
    return { resolved, log: server.log };
  } catch (error) {
    if (!(error instanceof DugoutError)) throw error;
    return { error, log: server.log };
  } finally {
    client.close();
    await server.close();
  }
}

const one = makeImage([Buffer.from("one")]);
const arm = makeImage([Buffer.from("arm")], { architecture: "arm64" });
const attestation = makeImage([Buffer.from("attestation")]);

test("a manifest without an index is the image", async () => {
  const { resolved } = await resolveFrom([manifest(one)]);
  assert.equal(resolved?.manifestDigest, one.digest);
  assert.deepEqual(resolved?.target, {
    mediaType: MEDIA_TYPES.ociManifest,
    digest: parseDigest(one.digest),
    size: one.manifest.length,
  });
});

test("C-029 an index in an index is followed to the platform's manifest, attestations are never chosen", async () => {
  const inner = index([
    entry(manifest(attestation), "unknown/unknown", {
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    }),
    entry(manifest(attestation), "linux/amd64", {
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    }),
    entry(manifest(one), "linux/amd64"),
  ]);
  const outer = index([entry(manifest(arm), "linux/arm64"), entry(inner, "linux/amd64")]);
  const { resolved, log } = await resolveFrom([manifest(one), manifest(arm), manifest(attestation), inner, outer]);
  assert.equal(resolved?.manifestDigest, one.digest);
  assert.equal(resolved?.documents.length, 3);
  assert.equal(resolved?.target.digest, hashBytes(outer.bytes));
  assert.equal(log.length, 4);
});

test("C-029 an inner index without a platform is looked into, and one that has nothing leads on to the next", async () => {
  const empty = index([entry(manifest(arm), "linux/arm64")]);
  const inner = index([entry(manifest(one), "linux/amd64")]);
  const { resolved } = await resolveFrom([
    manifest(one),
    manifest(arm),
    empty,
    inner,
    index([entry(empty), entry(inner)]),
  ]);
  assert.equal(resolved?.manifestDigest, one.digest);
});

test("A-098 indexes more than three deep, of themselves, and without end are refused", async () => {
  const documents = [manifest(one)];
  for (let depth = 1; depth <= 4; depth++) {
    documents.push(index([entry(documents.at(-1)!, "linux/amd64")]));
    const { resolved, error } = await resolveFrom([...documents]);
    assert.equal(
      depth <= 3 ? resolved?.manifestDigest : error?.code,
      depth <= 3 ? one.digest : "INDEX_TOO_DEEP",
      String(depth),
    );
  }
  const many = Array.from(
    { length: 100 },
    (_, at) => index([entry(manifest(arm), "linux/arm64", { annotations: { at: String(at) } })]),
  );
  const { error, log } = await resolveFrom([...many, index(many.map((document) => entry(document)))]);
  assert.equal(error?.code, "INDEX_TOO_DEEP");
  assert.ok(log.length < 25);
});

test("a platform that is not there is an error that names those that are", async () => {
  const { error } = await resolveFrom([
    manifest(arm),
    index([entry(manifest(arm), "linux/arm64/v8"), entry(manifest(one), "unknown/unknown")]),
  ]);
  assert.equal(error?.code, "PLATFORM_UNKNOWN");
  assert.match(error?.message ?? "", /no image for linux\/amd64; there is linux\/arm64\/v8$/);
});

test("A-013 an index that says something else about a manifest than the manifest is refused", async () => {
  for (const wrong of [{ mediaType: MEDIA_TYPES.dockerManifest }, { size: one.manifest.length + 1 }]) {
    const { error } = await resolveFrom([manifest(one), index([{ ...entry(manifest(one), "linux/amd64"), ...wrong }])]);
    assert.equal(error?.code, "MANIFEST_INVALID", JSON.stringify(wrong));
  }
});

test("C-130 a chart, a config in the manifest's place and schema 1 say what they are", async () => {
  const chart = Buffer.from(
    Buffer.from(one.manifest).toString().replace(MEDIA_TYPES.ociConfig, "application/vnd.cncf.helm.config.v1+json"),
  );
  const chartResult = await resolveFrom([{ type: MEDIA_TYPES.ociManifest, bytes: chart }]);
  assert.equal(chartResult.error?.code, "NOT_AN_IMAGE");
  assert.match(chartResult.error?.message ?? "", /config type "application\/vnd\.cncf\.helm\.config\.v1\+json"/);
  assert.equal(
    (await resolveFrom([{
      type: "application/vnd.docker.distribution.manifest.v1+prettyjws",
      bytes: Buffer.from("{}"),
    }])).error?.code,
    "MANIFEST_SCHEMA1",
  );
  assert.equal(
    (await resolveFrom([{ type: "application/json", bytes: one.config }])).error instanceof DugoutError,
    true,
  );
});

test("A-014 an index that points to a path asks the registry for nothing", async () => {
  const { error, log } = await resolveFrom([
    index([{ mediaType: MEDIA_TYPES.ociManifest, digest: "sha256:../../../canary", size: 1 }]),
  ]);
  assert.equal(error?.code, "MANIFEST_INVALID");
  assert.equal(log.length, 2);
});

test("A-020 whatever node of a served index is replaced, the answer is an image or our own error", async () => {
  const variants = [
    ...mutateJson(JSON.parse(Buffer.from(index([entry(manifest(one), "linux/amd64")]).bytes).toString())),
  ];
  let current = "";
  const server = await startServer((request, response) => {
    if (request.url === "/v2/") return answer(response, 200);
    if (request.url.endsWith("latest")) return answer(response, 200, current, { "content-type": MEDIA_TYPES.ociIndex });
    answer(response, 200, one.manifest, { "content-type": MEDIA_TYPES.ociManifest });
  });
  const { client } = makeTestClient();
  for (const variant of variants) {
    current = variant;
    try {
      await resolveImage(client, endpointOf(server.host), { tag: "latest" }, AMD64, '"the image"');
    } catch (error) {
      if (!(error instanceof DugoutError)) throw new Error(variant.slice(0, 300), { cause: error });
    }
  }
  client.close();
  await server.close();
});
