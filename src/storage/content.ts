/**
 * The content store: blobs by digest, in an OCI image layout (image-spec, image-layout), below `images/`.
 *
 *     images/oci-layout  index.json  blobs/sha256/HEX    what other tools read
 *     images/names/                                      one file a name (names.ts)
 *     images/ingest/                                     what is on its way in (ingest.ts), leases (lease.ts)
 *     images/lock                                        held for moments, when something is removed or held
 *
 * A blob appears under its digest only when all of it is there: verified, flushed, renamed. Nothing of it ever lies in
 * TMPDIR (C-052). What a killed process leaves in `ingest/` is taken up by the next one, or swept by a prune.
 *
 * @module
 */
import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statfsSync,
  statSync,
  unlinkSync,
} from "node:fs";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  createDigester,
  type Digest,
  DIGEST_ALGORITHMS,
  digestAlgorithm,
  digestHex,
  hashBytes,
  isDigest,
  parseDigest,
} from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { isJsonObject, parseJson } from "#oci/json.ts";
import { quote } from "#oci/text.ts";
import { OsError } from "#linux/errno.ts";
import { openDataRoot } from "./data_root.ts";
import { type TryLock, tryLock } from "./flock.ts";
import { ensurePrivateDir, errorCode } from "./private_dir.ts";
import { writeFileWhole } from "./write_file_whole.ts";

/** An opened store: where it is, and what its file system can do. */
export type ContentStore = {
  /** The `images` directory. */
  readonly path: string;
  /** Other machines may have the same store open, and locks may be theirs alone. */
  readonly isShared: boolean;
  readonly tryLock: TryLock;
};

/** What tests put in the place of the system. */
export type ContentStoreHost = { tryLock?: TryLock; isShared?: boolean };

/** f_type of file systems that several machines can mount (statfs(2), linux/magic.h, the projects' own headers). */
const SHARED_TYPES: ReadonlySet<number> = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0x5346414f, // AFS
  0x6b414653, // kAFS
  0x00c36400, // Ceph
  0x0bd00bd0, // Lustre
  0x47504653, // GPFS
  0x19830326, // BeeGFS
  0xaad7aaea, // PanFS
  0x7461636f, // OCFS2
  0x01161970, // GFS2
  0x01021997, // 9p
  0x65735546, // FUSE: sshfs, GlusterFS and others
]);

const READ_BYTES = 1024 * 1024;

/**
 * Opens the content store below a data directory; makes what is not there yet.
 * @param root The data directory (`--root`), such as `$XDG_DATA_HOME/dugout`.
 * @throws {DugoutError} As `openDataRoot`; STORE_TOO_NEW as well for an image layout of an unknown version.
 */
export function openContentStore(root: string, host: ContentStoreHost = {}): ContentStore {
  const path = join(openDataRoot(root), "images");
  for (const dir of ["", "blobs", "blobs/sha256", "ingest", "names"]) ensurePrivateDir(join(path, dir));
  checkLayout(path);
  closeSync(openSync(join(path, "lock"), "a", 0o600));
  return { path, isShared: host.isShared ?? isSharedFileSystem(path), tryLock: host.tryLock ?? tryLock };
}

function checkLayout(path: string): void {
  const file = join(path, "oci-layout");
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
    writeFileWhole(file, '{"imageLayoutVersion":"1.0.0"}');
    return;
  }
  const layout = parseJson(bytes, `the file ${quote(file)}`, { maxBytes: 4096 });
  const version = isJsonObject(layout) ? layout["imageLayoutVersion"] : undefined;
  if (typeof version === "string" && /^1\.[0-9]+\.[0-9]+$/.test(version)) return;
  throw new DugoutError(
    "STORE_TOO_NEW",
    `Cannot open the image store ${quote(path)}: its layout is of version ${
      quote(String(version))
    }, and this dugout knows 1.x`,
    { hint: "Use the newer dugout, or choose another place with --root" },
  );
}

function isSharedFileSystem(path: string): boolean {
  try {
    // f_type is a signed word on some ABIs
    return SHARED_TYPES.has(statfsSync(path).type >>> 0);
  } catch {
    return false;
  }
}

/** Where a blob is, or would be. The digest is checked once more, since it becomes a path. */
export function blobPath(store: ContentStore, digest: Digest): string {
  parseDigest(digest);
  return join(store.path, "blobs", digestAlgorithm(digest), digestHex(digest));
}

/** The size of a blob that is there, or undefined. */
export function blobSize(store: ContentStore, digest: Digest): number | undefined {
  const stat = statSync(blobPath(store, digest), { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : undefined;
}

/**
 * Whether a blob is there. With a size, one of another size (cut by a power loss) does not count.
 * To rely on its staying there, hold it first: `holdBlob` in lease.ts.
 */
export function hasBlob(store: ContentStore, digest: Digest, sizeBytes?: number): boolean {
  const size = blobSize(store, digest);
  return size !== undefined && (sizeBytes === undefined || size === sizeBytes);
}

/**
 * Reads a small blob (manifest, config) and verifies it.
 * @throws {DugoutError} BLOB_UNKNOWN, BLOB_TOO_LARGE, DIGEST_MISMATCH.
 */
export function readBlob(store: ContentStore, digest: Digest, options: { maxBytes: number }): Uint8Array {
  const fd = openBlobFd(store, digest);
  try {
    const { size } = fstatSync(fd);
    if (size > options.maxBytes) {
      throw new DugoutError(
        "BLOB_TOO_LARGE",
        `Cannot read the blob "${digest}": it has ${size} bytes, more than ${options.maxBytes}`,
      );
    }
    const bytes = new Uint8Array(size);
    let length = 0;
    while (length < size) {
      const got = readSync(fd, bytes, length, size - length, length);
      if (got === 0) break;
      length += got;
    }
    const content = bytes.subarray(0, length);
    if (hashBytes(content, digestAlgorithm(digest)) !== digest) throw damaged(digest);
    return content;
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a blob of any size in pieces of up to 1 MiB, each valid until the next is asked for, and verifies it on the way:
 * a wrong digest is an error after the last piece.
 * @param from The offset of the first byte; what does not begin at 0 is not verified.
 * @throws {DugoutError} BLOB_UNKNOWN, DIGEST_MISMATCH.
 */
export async function* streamBlob(
  store: ContentStore,
  digest: Digest,
  from = 0,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fd = openBlobFd(store, digest);
  try {
    const digester = createDigester(digestAlgorithm(digest));
    const buffer = new Uint8Array(READ_BYTES);
    for (let offset = from;;) {
      const length = readSync(fd, buffer, 0, buffer.length, offset);
      if (length === 0) break;
      offset += length;
      const piece = buffer.subarray(0, length);
      if (from === 0) digester.update(piece);
      yield piece;
    }
    if (from === 0 && digester.finish() !== digest) throw damaged(digest);
  } finally {
    closeSync(fd);
  }
}

function openBlobFd(store: ContentStore, digest: Digest): number {
  const path = blobPath(store, digest);
  try {
    return openSync(path, "r");
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") {
      throw new DugoutError("BLOB_UNKNOWN", `Cannot read the blob "${digest}": it is not in the store`, {
        hint: "Pull or load the image again",
      });
    }
    throw new OsError({ call: "open", object: path, code });
  }
}

function damaged(digest: Digest): DugoutError {
  return new DugoutError("DIGEST_MISMATCH", `Cannot use the blob "${digest}": its content on disk has changed`, {
    hint: 'Remove the image with "dugout rmi", then pull or load it again',
  });
}

/** The digests of all blobs that are there, in no order. Files with other names are left out. */
export function listBlobs(store: ContentStore): Digest[] {
  const digests: Digest[] = [];
  for (const algorithm of Object.keys(DIGEST_ALGORITHMS)) {
    for (const name of listDirectory(join(store.path, "blobs", algorithm))) {
      const digest = `${algorithm}:${name}`;
      if (isDigest(digest)) digests.push(digest);
    }
  }
  return digests;
}

/**
 * Removes a blob; returns the bytes that this freed, 0 if it was gone already. Who calls this holds the store's lock and
 * has looked at the names and leases (see `removeUnusedBlobs` in collect.ts).
 */
export function deleteBlob(store: ContentStore, digest: Digest): number {
  const size = blobSize(store, digest) ?? 0;
  try {
    unlinkSync(blobPath(store, digest));
    return size;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return 0;
    throw new OsError({ call: "unlink", object: blobPath(store, digest), code: errorCode(error) });
  }
}

/** The names in a directory; none when it isn't there. */
export function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** Makes the directory of blobs of an algorithm other than sha256. */
export function ensureAlgorithmDir(store: ContentStore, digest: Digest): void {
  if (digestAlgorithm(digest) !== "sha256") {
    mkdirSync(join(store.path, "blobs", digestAlgorithm(digest)), { recursive: true, mode: 0o700 });
  }
}
