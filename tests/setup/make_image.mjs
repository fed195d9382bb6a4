// Makes an OCI image layout from tar files: `node make_image.mjs LAYOUT TAG SPECIFICATION.json`. The tests' images are made
// by code of their own, and not by what they test.
//
// The specification: { index: boolean, images: [{ architecture, config, layers: [{ tar, compression }] }] }, where
// compression is "none", "gzip", "gzip-members" (two members, as pigz and zlib-based tools may write) or "zstd".
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const compressGzip = promisify(gzip);
const CREATED = "2026-01-01T00:00:00Z";

const OCI = "application/vnd.oci.image";
const SUFFIX = { none: "", gzip: "+gzip", "gzip-members": "+gzip", zstd: "+zstd" };

async function compress(bytes, compression) {
  switch (compression) {
    case "none":
      return bytes;
    case "gzip":
      return await compressGzip(bytes, { level: 6 });
    case "gzip-members": {
      const half = bytes.length >> 1;
      return Buffer.concat(
        await Promise.all([bytes.subarray(0, half), bytes.subarray(half)].map((part) => compressGzip(part))),
      );
    }
    case "zstd": {
      const { stdout, status, error } = spawnSync("zstd", ["-q", "-c", "-3"], { input: bytes, maxBuffer: 2 ** 30 });
      if (status !== 0) throw new Error(`zstd failed: ${error ?? status}`);
      return stdout;
    }
    default:
      throw new Error(`unknown compression "${compression}"`);
  }
}

function sha256(bytes) {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function writeBlob(layout, mediaType, bytes) {
  const digest = sha256(bytes);
  writeFileSync(join(layout, "blobs/sha256", digest.slice("sha256:".length)), bytes);
  return { mediaType, digest, size: bytes.length };
}

function writeJson(layout, mediaType, value) {
  return writeBlob(layout, mediaType, Buffer.from(JSON.stringify(value)));
}

async function writeLayer(layout, { tar, compression }) {
  const bytes = readFileSync(tar);
  const blob = await compress(bytes, compression);
  return { diffId: sha256(bytes), descriptor: writeBlob(layout, `${OCI}.layer.v1.tar${SUFFIX[compression]}`, blob) };
}

/** Two layers at once: as many as there are cores here, and memory stays bounded. */
async function writeLayers(layout, layers) {
  const written = [];
  let next = 0;
  async function work() {
    while (next < layers.length) {
      const index = next++;
      written[index] = await writeLayer(layout, layers[index]);
    }
  }
  await Promise.all([work(), work()]);
  return written;
}

async function writeImage(layout, { architecture, config, layers }) {
  const written = await writeLayers(layout, layers);
  const image = {
    created: CREATED,
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: written.map((layer) => layer.diffId) },
    history: layers.map(({ tar }) => ({ created: CREATED, created_by: `add ${tar.split("/").at(-1)}` })),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: writeJson(layout, `${OCI}.config.v1+json`, image),
    layers: written.map((layer) => layer.descriptor),
  };
  return { ...writeJson(layout, manifest.mediaType, manifest), platform: { architecture, os: "linux" } };
}

async function main([layout, tag, specificationFile]) {
  const { index, images } = JSON.parse(readFileSync(specificationFile, "utf8"));
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  const manifests = [];
  for (const image of images) manifests.push(await writeImage(layout, image));
  const mediaType = `${OCI}.index.v1+json`;
  const top = index ? writeJson(layout, mediaType, { schemaVersion: 2, mediaType, manifests }) : manifests[0];
  const annotations = { "org.opencontainers.image.ref.name": tag };
  writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, mediaType, manifests: [{ ...top, annotations }] }),
  );
}

await main(process.argv.slice(2));
