/**
 * The embedded image as data: made from the program's bytes when it is wanted, the same to the last bit each time.
 *
 *     index ─▶ manifest for amd64 ─▶ config, layer "base" (shared), layer with /hello
 *           ─▶ manifest for arm64 ─▶ config, layer "base" (shared), layer with /hello
 *
 * Two layers, so that there is something to lay over something. They are not compressed: compressors of different
 * runtimes make different bytes, and it is little anyway.
 *
 * @module
 */
import type { Descriptor } from "#oci/descriptor.ts";
import { type Digest, hashBytes } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { encodeImageConfig, type HistoryEntry } from "#oci/image_config.ts";
import { encodeIndex, encodeManifest } from "#oci/manifest.ts";
import { MEDIA_TYPES } from "#oci/media_types.ts";
import type { Platform } from "#oci/platform.ts";
import { fromText } from "#tar/bytes.ts";
import { makeEntry, type TarEntry, type TarKind } from "#tar/entry.ts";
import { encodeHeader, paddingFor, TRAILER } from "#tar/write.ts";
import { HELLO_BYTES } from "./bytes.ts";
import { HELLO_DIGESTS } from "./digests.ts";

/** An image in memory. */
export type EmbeddedImage = {
  /** Its index. */
  readonly target: Descriptor;
  /** All its content, what is pointed to before what points to it. */
  readonly blobs: readonly EmbeddedBlob[];
};

/** A blob and what it is called in {@linkcode HELLO_DIGESTS}. */
export type EmbeddedBlob = {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: Digest;
  /** Undefined for what all platforms share. */
  readonly platform: Platform | undefined;
};

/** The program's executables in base64, by architecture. */
export type ProgramBytes = Readonly<Record<"x86_64" | "aarch64", string>>;

const CREATED = "2026-11-01T00:00:00Z";
const CREATED_SECONDS = 1793491200;

const PLATFORMS = [
  { arch: "x86_64", platform: { os: "linux", architecture: "amd64" } },
  { arch: "aarch64", platform: { os: "linux", architecture: "arm64" } },
] as const satisfies readonly { arch: keyof ProgramBytes; platform: Platform }[];

type Member = readonly [path: string, kind: TarKind, mode: number, content?: string | Uint8Array];

/** What a container expects below its root, and files that something is mounted over. */
const BASE: readonly Member[] = [
  ["dev", "directory", 0o755],
  ["etc", "directory", 0o755],
  ["etc/group", "file", 0o644, "root:x:0:\nnogroup:x:65534:\n"],
  ["etc/hostname", "file", 0o644],
  ["etc/hosts", "file", 0o644],
  [
    "etc/os-release",
    "file",
    0o644,
    'NAME="dugout hello"\nID=dugout-hello\nPRETTY_NAME="The image that is embedded in dugout"\n',
  ],
  [
    "etc/passwd",
    "file",
    0o644,
    "root:x:0:0:root:/root:/hello\nnobody:x:65534:65534:nobody:/nonexistent:/hello\n",
  ],
  ["etc/resolv.conf", "file", 0o644],
  ["proc", "directory", 0o755],
  ["root", "directory", 0o700],
  ["run", "directory", 0o755],
  ["sys", "directory", 0o755],
  ["tmp", "directory", 0o1777],
];

/**
 * Makes the embedded image.
 * @param programs The executables, for tests: others give an image that is refused.
 * @throws {DugoutError} HELLO_DAMAGED when the bytes are not those that the digests in the source are of.
 */
export function makeHelloImage(programs: ProgramBytes = HELLO_BYTES): EmbeddedImage {
  const image = assembleHelloImage(programs);
  for (const { name, digest } of image.blobs) {
    if (HELLO_DIGESTS.get(name) === digest) continue;
    throw new DugoutError(
      "HELLO_DAMAGED",
      `Cannot use the image in this program's own file: its "${name}" is not what it was when it was built`,
      { hint: "The file has been changed, or was not copied as a whole: get it again" },
    );
  }
  return image;
}

/** Makes the image without a look at its digests: for those who write them down. */
export function assembleHelloImage(programs: ProgramBytes): EmbeddedImage {
  const blobs: EmbeddedBlob[] = [];
  const add = (name: string, mediaType: string, bytes: Uint8Array<ArrayBuffer>, platform?: Platform): Descriptor => {
    const digest = hashBytes(bytes);
    blobs.push({ name, bytes, digest, platform });
    return { mediaType, digest, size: bytes.length };
  };
  const base = add("base", MEDIA_TYPES.ociLayer, makeLayer(BASE));
  const history = (what: string): HistoryEntry => ({ created: CREATED, created_by: what });
  const manifests = PLATFORMS.map(({ arch, platform }): Descriptor => {
    const { architecture } = platform;
    const program = Uint8Array.from(atob(programs[arch]), (char) => char.charCodeAt(0));
    const addOwn = (name: string, mediaType: string, bytes: Uint8Array) =>
      add(`${name} ${architecture}`, mediaType, Uint8Array.from(bytes), platform);
    const layer = addOwn("program", MEDIA_TYPES.ociLayer, makeLayer([["hello", "file", 0o755, program]]));
    const config = encodeImageConfig({
      ...platform,
      created: CREATED,
      config: {
        Env: ["PATH=/"],
        Cmd: ["/hello"],
        WorkingDir: "/",
        Labels: new Map([["org.opencontainers.image.description", "Greets, and tells what was set up"]]),
      },
      diffIds: [base.digest, layer.digest],
      history: [history("directories, accounts, os-release"), history("COPY hello /hello")],
    });
    const manifest = encodeManifest({
      mediaType: MEDIA_TYPES.ociManifest,
      config: addOwn("config", MEDIA_TYPES.ociConfig, config),
      layers: [base, layer],
    });
    return { ...addOwn("manifest", MEDIA_TYPES.ociManifest, manifest), platform };
  });
  const index = encodeIndex({ mediaType: MEDIA_TYPES.ociIndex, manifests });
  return { target: add("index", MEDIA_TYPES.ociIndex, Uint8Array.from(index)), blobs };
}

function makeLayer(members: readonly Member[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (const [path, kind, mode, content = ""] of members) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const rest: Partial<TarEntry> = { mode, sizeBytes: bytes.length, mtimeSeconds: CREATED_SECONDS };
    parts.push(encodeHeader(makeEntry(fromText(path), kind, rest)), bytes, paddingFor(bytes.length));
  }
  parts.push(TRAILER);
  return concatenate(parts);
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
