import assert from "node:assert/strict";
import { test } from "node:test";
import { hashBytes } from "./digest.ts";
import { DugoutError } from "./error.ts";
import { mutateJson } from "./fuzz_support.ts";
import { checkConfigType, checkLayerCount, encodeImageConfig, pairHistory, parseImageConfig } from "./image_config.ts";
import type { Manifest } from "./manifest.ts";
import { MEDIA_TYPES } from "./media_types.ts";

const DIGEST = hashBytes("x");
const bytes = (value: unknown) => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const full = {
  architecture: "arm64",
  os: "linux",
  variant: "v8",
  created: "2024-01-02T03:04:05.678901234Z",
  author: "me",
  config: {
    User: "1000:1000",
    ExposedPorts: { "80/tcp": {}, "53/udp": {} },
    Env: ["PATH=/bin", "A=b=c"],
    Entrypoint: ["/entry"],
    Cmd: ["a", ""],
    Volumes: { "/data": {} },
    WorkingDir: "/w",
    Labels: { a: "b" },
    StopSignal: "SIGQUIT",
    Healthcheck: { Test: ["CMD", "true"], Interval: 30_000_000_000, Retries: 3 },
    OnBuild: ["RUN true"],
    Shell: ["/bin/bash", "-c"],
    StopTimeout: 5,
  },
  rootfs: { type: "layers", diff_ids: [DIGEST, DIGEST] },
  history: [
    { created: "2024-01-02T03:04:05Z", created_by: "ADD", author: "me", comment: "c" },
    { created_by: "ENV", empty_layer: true },
    { created_by: "RUN" },
  ],
};

test("an image config keeps Docker's fields too, and what is written is read back the same", () => {
  const config = parseImageConfig(bytes(full), "the config");
  assert.deepEqual(config.config.ExposedPorts, ["80/tcp", "53/udp"]);
  assert.deepEqual(config.config.Healthcheck, { Test: ["CMD", "true"], Interval: 30_000_000_000, Retries: 3 });
  assert.deepEqual(config.config.OnBuild, ["RUN true"]);
  assert.deepEqual(parseImageConfig(encodeImageConfig(config), "the config"), config);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(encodeImageConfig(config))), full);
});

test("null and absent are the same, as Go writes them; an image without layers has no diff_ids", () => {
  const config = parseImageConfig(
    bytes(
      '{"architecture":"amd64","os":"linux","config":{"Cmd":null,"Env":null,"Volumes":null,"Labels":null},"rootfs":{"type":"layers"}}',
    ),
    "the config",
  );
  assert.deepEqual(config, { architecture: "amd64", os: "linux", config: {}, diffIds: [], history: [] });
  assert.deepEqual(
    parseImageConfig(bytes({ rootfs: { type: "layers", diff_ids: null }, config: null, history: null }), "c").config,
    {},
  );
});

test("A-087 labels, volumes and ports keep every key", () => {
  const text =
    '{"rootfs":{"type":"layers"},"config":{"Labels":{"__proto__":"a","constructor":"b","toString":"c"},"Volumes":{"__proto__":{}}}}';
  const config = parseImageConfig(bytes(text), "the config");
  assert.deepEqual([...config.config.Labels ?? []], [["__proto__", "a"], ["constructor", "b"], ["toString", "c"]]);
  assert.deepEqual(config.config.Volumes, ["__proto__"]);
  assert.match(
    new TextDecoder().decode(encodeImageConfig(config)),
    /"Labels":\{"__proto__":"a","constructor":"b","toString":"c"\}/,
  );
});

const manifestOf = (layers: number, configType: string = MEDIA_TYPES.ociConfig): Manifest => ({
  mediaType: MEDIA_TYPES.ociManifest,
  config: { mediaType: configType, digest: DIGEST, size: 1 },
  layers: Array.from({ length: layers }, () => ({ mediaType: MEDIA_TYPES.ociLayer, digest: DIGEST, size: 1 })),
});

test("C-129 a mismatch between layers and diff-ids is refused with both numbers, empty layers may repeat", () => {
  const config = parseImageConfig(bytes(full), "the config");
  checkLayerCount(manifestOf(2), config, "the image");
  assert.throws(() => checkLayerCount(manifestOf(3), config, "the image"), /3 layers .* 2 diff-ids/);
});

test("C-129 history entries without a layer have none, and fewer or more entries than layers are fine", () => {
  const config = parseImageConfig(bytes(full), "the config");
  assert.deepEqual(pairHistory(config, ["l0", "l1"]).map((pair) => pair.layer), ["l0", undefined, "l1"]);
  assert.deepEqual(pairHistory(config, ["l0"]).map((pair) => pair.layer), ["l0", undefined, undefined]);
  assert.deepEqual(pairHistory({ ...config, history: [] }, ["l0"]), []);
});

test("C-130 a config of another type is named", () => {
  checkConfigType(manifestOf(0, MEDIA_TYPES.dockerConfig), "the image");
  assert.throws(
    () => checkConfigType(manifestOf(0, "application/vnd.cncf.helm.config.v1+json"), "the image"),
    (error: DugoutError) => {
      assert.equal(error.code, "NOT_AN_IMAGE");
      assert.match(
        error.message,
        /not a container image \(config type "application\/vnd\.cncf\.helm\.config\.v1\+json"\)/,
      );
      return true;
    },
  );
});

test("A-098 a config above 8 MB is refused", () => {
  assert.throws(
    () => parseImageConfig(bytes({ ...full, author: "x".repeat(8 << 20) }), "the config"),
    /more than 8388608/,
  );
});

test("A-020 whatever node is replaced, a config is parsed or refused by our own error", () => {
  for (const text of mutateJson(full)) {
    try {
      parseImageConfig(bytes(text), "the config");
    } catch (error) {
      if (!(error instanceof DugoutError)) throw new Error(text.slice(0, 500), { cause: error });
    }
  }
});
