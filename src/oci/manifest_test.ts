import assert from "node:assert/strict";
import { test } from "node:test";
import { hashBytes } from "./digest.ts";
import { DugoutError } from "./error.ts";
import { mutateJson } from "./fuzz_support.ts";
import { encodeIndex, encodeManifest, parseManifestDocument } from "./manifest.ts";
import { MEDIA_TYPES } from "./media_types.ts";

const DIGEST = hashBytes("x");
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const config = { mediaType: MEDIA_TYPES.ociConfig, digest: DIGEST, size: 2 };
const layer = { mediaType: MEDIA_TYPES.ociLayerGzip, digest: DIGEST, size: 3 };
const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [layer] };
const index = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociIndex,
  manifests: [{
    mediaType: MEDIA_TYPES.ociManifest,
    digest: DIGEST,
    size: 4,
    platform: { os: "linux", architecture: "arm64", variant: "v8" },
  }],
};
const codeOf = (value: unknown, contentType?: string): string => {
  try {
    return parseManifestDocument(bytes(value), "the manifest", contentType).kind;
  } catch (error) {
    if (!(error instanceof DugoutError)) throw error;
    return error.code;
  }
};

test("a manifest and an index are told by their fields when nothing else says it", () => {
  assert.equal(codeOf({ ...manifest, mediaType: undefined }), "manifest");
  assert.equal(codeOf({ ...index, mediaType: undefined }, "application/json"), "index");
  assert.equal(codeOf({ ...manifest, mediaType: MEDIA_TYPES.dockerManifest }, MEDIA_TYPES.dockerManifest), "manifest");
  assert.equal(codeOf(index, `${MEDIA_TYPES.ociIndex}; charset=utf-8`), "index");
});

test("A-013 Content-Type, mediaType and fields have to agree, in all 27 combinations", () => {
  const kinds = [MEDIA_TYPES.ociManifest, MEDIA_TYPES.ociIndex, undefined];
  const bodies = [
    { name: "manifest", fields: { config, layers: [layer] } },
    { name: "index", fields: { manifests: index.manifests } },
    { name: "both", fields: { config, layers: [layer], manifests: index.manifests } },
  ];
  for (const header of kinds) {
    for (const own of kinds) {
      for (const { name, fields } of bodies) {
        const nameOf = (type: string | undefined) =>
          type === undefined ? name : type === MEDIA_TYPES.ociIndex ? "index" : "manifest";
        const agree = name !== "both" && nameOf(header) === name && nameOf(own) === name;
        const result = codeOf(
          { schemaVersion: 2, ...(own === undefined ? {} : { mediaType: own }), ...fields },
          header,
        );
        assert.equal(result, agree ? name : "MANIFEST_INVALID", `${header} ${own} ${name}`);
      }
    }
  }
});

test("A-013 a key twice, another spelling of a key, and another manifest type in the header are refused", () => {
  const text = JSON.stringify(manifest);
  assert.equal(codeOf(text.slice(0, -1) + ',"layers":[]}'), "JSON_DUPLICATE_KEY");
  assert.equal(codeOf(text.slice(0, -1) + ',"Layers":[]}'), "MANIFEST_INVALID");
  assert.equal(codeOf(text.slice(0, -1) + ',"Manifests":[]}'), "MANIFEST_INVALID");
  assert.equal(codeOf(manifest, MEDIA_TYPES.dockerManifest), "MANIFEST_INVALID");
});

test("C-130 what is no image says so: schema 1, a config in a manifest's place, an unknown type", () => {
  assert.equal(codeOf({ schemaVersion: 1, fsLayers: [], history: [] }), "MANIFEST_SCHEMA1");
  assert.equal(codeOf({ schemaVersion: 1, name: "x" }, MEDIA_TYPES.dockerManifest1Signed), "MANIFEST_SCHEMA1");
  assert.equal(
    codeOf({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
    "NOT_AN_IMAGE",
  );
  assert.equal(codeOf({ ...manifest, mediaType: "application/vnd.example+json" }), "NOT_AN_IMAGE");
  assert.equal(codeOf({ ...manifest, mediaType: undefined }, MEDIA_TYPES.ociConfig), "NOT_AN_IMAGE");
  assert.equal(codeOf("[]"), "MANIFEST_INVALID");
});

test("C-130 an annotation of 1 MB is fine, a manifest above 4 MB is refused with the number", () => {
  assert.equal(codeOf({ ...manifest, annotations: { x: "y".repeat(1 << 20) } }), "manifest");
  assert.throws(
    () => parseManifestDocument(bytes({ ...manifest, annotations: { x: "y".repeat(4 << 20) } }), "the manifest"),
    /\d+ bytes, more than 4194304/,
  );
});

test("C-129 the same layer may occur several times", () => {
  const parsed = parseManifestDocument(bytes({ ...manifest, layers: [layer, layer, layer] }), "the manifest");
  assert.ok(parsed.kind === "manifest" && parsed.manifest.layers.length === 3);
});

test("A-098 more layers, more entries, or larger sizes than can be are refused", () => {
  assert.equal(codeOf({ ...manifest, layers: Array(1000).fill(layer) }), "manifest");
  assert.equal(codeOf({ ...manifest, layers: Array(1001).fill(layer) }), "MANIFEST_INVALID");
  assert.equal(codeOf({ ...index, manifests: Array(10_001).fill(index.manifests[0]) }), "MANIFEST_INVALID");
  assert.equal(codeOf({ ...manifest, config: { ...config, size: 2 ** 53 } }), "MANIFEST_INVALID");
});

test("A-014 a digest that is a path does not become a descriptor", () => {
  assert.equal(codeOf({ ...manifest, layers: [{ ...layer, digest: "sha256:../../../canary" }] }), "MANIFEST_INVALID");
});

test("A-087 annotations keep every key", () => {
  const text = JSON.stringify(manifest).slice(0, -1) + ',"annotations":{"__proto__":"a","constructor":"b"}}';
  const parsed = parseManifestDocument(bytes(text), "the manifest");
  assert.ok(parsed.kind === "manifest");
  assert.deepEqual([...parsed.manifest.annotations ?? []], [["__proto__", "a"], ["constructor", "b"]]);
  assert.equal(new TextDecoder().decode(encodeManifest(parsed.manifest)), text);
});

test("what is written is read back the same", () => {
  const written = parseManifestDocument(bytes(index), "the index");
  assert.ok(written.kind === "index");
  assert.deepEqual(parseManifestDocument(encodeIndex(written.index), "the index"), written);
  assert.deepEqual(written.index.manifests[0]?.platform, { os: "linux", architecture: "arm64", variant: "v8" });
});

test("A-020 whatever node is replaced, a manifest or index is parsed or refused by our own error", () => {
  for (const document of [{ ...manifest, annotations: { a: "b" }, subject: config }, index]) {
    for (const text of mutateJson(document)) codeOf(text);
  }
});
