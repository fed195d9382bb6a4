import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** An entry of a layer, written as told, however wrong it is. */
export type Entry = {
  name: string;
  type?: "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";
  content?: string | Uint8Array;
  link?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  device?: [major: number, minor: number];
};

/** The fields of an image's configuration that a test sets. */
export type Config = Record<string, unknown>;

const TYPES = { file: "0", hardlink: "1", symlink: "2", char: "3", block: "4", directory: "5", fifo: "6" };
const BLOCK = 512;

/** A tar archive by the tests' own hand: no code of the product, and no check of anything. Names of at most 100 bytes. */
export function craftTar(entries: readonly Entry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (
    const {
      name,
      type = "file",
      content = "",
      link = "",
      mode = 0o755,
      uid = 0,
      gid = 0,
      device: [major, minor] = [0, 0],
    } of entries
  ) {
    const bytes = Buffer.from(content);
    const header = Buffer.alloc(BLOCK);
    const octal = (value: number, at: number, length: number) =>
      header.write(value.toString(8).padStart(length - 1, "0"), at, length - 1, "latin1");
    if (Buffer.byteLength(name) > 100 || Buffer.byteLength(link) > 100) {
      throw new RangeError("The name is too long for this writer");
    }
    header.write(name, 0);
    octal(mode, 100, 8);
    octal(uid, 108, 8);
    octal(gid, 116, 8);
    octal(bytes.length, 124, 12);
    octal(1_767_225_600, 136, 12);
    header.fill(" ", 148, 156);
    header.write(TYPES[type], 156);
    header.write(link, 157);
    header.write("ustar\x0000", 257, "latin1");
    octal(major, 329, 8);
    octal(minor, 337, 8);
    octal(header.reduce((sum, byte) => sum + byte, 0), 148, 7);
    parts.push(header, bytes, Buffer.alloc((BLOCK - bytes.length % BLOCK) % BLOCK));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/**
 * An OCI archive, for `load`, of one image.
 * @param layers The lowest first: entries, or a whole tar.
 */
export function craftImage(
  name: string,
  layers: readonly (readonly Entry[] | Uint8Array)[],
  config: Config = {},
): Uint8Array {
  const blobs = new Map<string, Uint8Array>();
  const put = (mediaType: string, bytes: Uint8Array) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    blobs.set(digest, bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const descriptors = layers.map((layer) => put("layer.v1.tar", layer instanceof Uint8Array ? layer : craftTar(layer)));
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const image = {
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: descriptors.map(({ digest }) => digest) },
  };
  const manifest = { schemaVersion: 2, config: put("config.v1+json", json(image)), layers: descriptors };
  const top = {
    ...put("manifest.v1+json", json({ ...manifest, mediaType: "application/vnd.oci.image.manifest.v1+json" })),
    annotations: { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name },
  };
  return craftTar([
    { name: "oci-layout", content: JSON.stringify({ imageLayoutVersion: "1.0.0" }), mode: 0o644 },
    { name: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests: [top] }), mode: 0o644 },
    ...[...blobs].map(([digest, content]): Entry => ({ name: `blobs/sha256/${digest}`, content, mode: 0o644 })),
  ]);
}

/** The layer with busybox that tests/setup made, to put hostile ones on. */
export function busyboxLayer(cache: string): Uint8Array {
  return readFileSync(join(cache, `tars/busybox-${process.arch === "arm64" ? "arm64" : "amd64"}-1.tar`));
}
