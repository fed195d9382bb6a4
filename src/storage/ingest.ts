/**
 * How blobs come into the store: downloads, which any later process can resume, and content whose digest is known only
 * at its end.
 *
 * A download's bytes lie in `ingest/HEX.part`. The lock of that very file says that somebody is at it: one download per
 * digest among all processes, the others wait and see it complete, and if its process dies, one of them goes on where it
 * stopped. When all is there it is verified, flushed and renamed to its place; a rename, or a sweep, takes the name away
 * from under a waiter, so whoever gets the lock looks whether the name still leads to the file that it locked.
 *
 * A file system that several machines mount may have locks that reach only one of them, so there the machine is part of
 * the name. Where there are no locks at all, each process has a part of its own, marked with its owner; one of a dead
 * owner is taken over by renaming it, which only one can do.
 *
 * @module
 */
import { closeSync, constants, fstatSync, fsync, ftruncateSync, openSync, readSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomHex } from "#linux/random.ts";
import { OsError } from "#linux/errno.ts";
import {
  createDigester,
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  type Digester,
  digestHex,
  hashBytes,
} from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { blobPath, type ContentStore, ensureAlgorithmDir, hasBlob, listDirectory } from "./content.ts";
import { delay } from "./delay.ts";
import { holdBlob, holdDigest, isSameFile, type Lease } from "./lease.ts";
import { findMark, formatMark, hostMark, markState, ownMark } from "./owner_mark.ts";
import { errorCode } from "./private_dir.ts";
import { freeBytes, isNoSpace, noSpaceError } from "./space.ts";
import { syncDirectory, unlinkIfThere, writeFully } from "./write_file_whole.ts";

/** What is to come in, as its descriptor says. */
export type IngestWant = { digest: Digest; size: number };

export type IngestOptions = {
  /** Ends waiting and re-reading; the signal's reason is thrown. */
  signal?: AbortSignal;
  /** Called now and then while another process downloads, with the bytes that are there. */
  onWait?: (sizeBytes: number) => void;
  /**
   * Gets the bytes that an earlier process left, in order, while they are hashed again; each piece is valid until the
   * promise resolves. For a consumer that unpacks while the rest is downloaded.
   */
  onReplay?: (piece: Uint8Array) => void | Promise<void>;
};

const WAIT_POLL_MS = 50;
const READ_BYTES = 1024 * 1024;

/**
 * Begins, or takes up, the download of a blob, and holds it in the lease.
 * @returns undefined when the blob is there (perhaps since another process, for which this call waited, has just
 * finished it), else the download: write what comes from byte `offset` on, then `commit()`.
 * @throws {DugoutError} ENOSPC at once, when the rest does not fit on the file system (C-045).
 */
export async function openIngest(
  lease: Lease,
  want: IngestWant,
  options: IngestOptions = {},
): Promise<Ingest | undefined> {
  const { store } = lease;
  ensureAlgorithmDir(store, want.digest);
  if (await holdBlob(lease, want.digest, want.size)) return undefined;
  for (;;) {
    options.signal?.throwIfAborted();
    const part = claimPart(store, want.digest);
    if ("busyBytes" in part) {
      options.onWait?.(part.busyBytes);
      await delay(WAIT_POLL_MS, options.signal);
      if (hasBlob(store, want.digest, want.size)) return undefined;
      continue;
    }
    const ingest = new Ingest(store, want, part);
    try {
      // finished by another process between our look and our lock
      if (hasBlob(store, want.digest, want.size)) {
        ingest.discard();
        return undefined;
      }
      await ingest.resume(options);
      if (ingest.offset === want.size && await ingest.commitIfWhole()) return undefined;
      const missing = want.size - ingest.offset;
      if (missing > freeBytes(store.path)) throw noSpaceError(store.path, missing, `the blob "${want.digest}"`);
      return ingest;
    } catch (error) {
      ingest[Symbol.dispose]();
      throw error;
    }
  }
}

type Part = { fd: number; path: string };

/** Opens the part of a digest and makes it ours, or says how far the process is that has it. */
function claimPart(store: ContentStore, digest: Digest): Part | { busyBytes: number } {
  const scope = store.isShared ? `.${hostMark()}` : "";
  const path = join(store.path, "ingest", `${digestHex(digest)}${scope}.part`);
  for (;;) {
    const fd = openPart(store, path, constants.O_CREAT);
    const lock = store.tryLock(fd);
    if (lock === "locked") {
      if (isSameFile(fd, path)) return { fd, path };
    } else if (lock === "busy") {
      const busyBytes = fstatSync(fd).size;
      closeSync(fd);
      return { busyBytes };
    } else {
      if (fstatSync(fd).size === 0) unlinkIfThere(path);
      closeSync(fd);
      return claimPrivatePart(store, digest);
    }
    closeSync(fd);
  }
}

/** Without locks: a part of our own, continued from one whose owner died, if there is one. */
function claimPrivatePart(store: ContentStore, digest: Digest): Part {
  const dir = join(store.path, "ingest");
  const path = join(dir, `${digestHex(digest)}.${formatMark(ownMark())}.${randomHex(6)}.part`);
  for (const name of listDirectory(dir)) {
    if (!name.startsWith(`${digestHex(digest)}.`) || !name.endsWith(".part")) continue;
    const mark = findMark(name);
    if (mark === undefined || markState(mark) !== "dead") continue;
    try {
      renameSync(join(dir, name), path);
      return { fd: openPart(store, path, 0), path };
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error; // else another was quicker
    }
  }
  return { fd: openPart(store, path, constants.O_CREAT | constants.O_EXCL), path };
}

function openPart(store: ContentStore, path: string, flags: number): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | flags, 0o600);
  } catch (error) {
    throw writeError(store, path, 0, "a blob", error);
  }
}

function writeError(store: ContentStore, path: string, neededBytes: number, what: string, error: unknown): Error {
  if (isNoSpace(error)) return noSpaceError(store.path, neededBytes, what, error);
  return new OsError({ call: "write", object: path, code: errorCode(error) });
}

/**
 * A download under way. Dispose of it in any case: what has come stays for the next process, unless it was wrong.
 * Made by {@linkcode openIngest}.
 */
export class Ingest {
  readonly store: ContentStore;
  readonly want: IngestWant;
  readonly #path: string;
  readonly #fd: number;
  #digester: Digester;
  #offset = 0;
  #resumedBytes = 0;
  #open = true;

  constructor(store: ContentStore, want: IngestWant, part: Part) {
    this.store = store;
    this.want = want;
    this.#path = part.path;
    this.#fd = part.fd;
    this.#digester = createDigester(digestAlgorithm(want.digest));
  }

  /** How many bytes are there: where a `Range` request begins. */
  get offset(): number {
    return this.#offset;
  }

  /** How many of them came from an earlier process. If the digest is wrong in the end they may be why: try once more. */
  get resumedBytes(): number {
    return this.#resumedBytes;
  }

  /** Takes up what an earlier process left: hashes it again, at the speed of sha256 (about 1.5 GB/s). */
  async resume(options: IngestOptions): Promise<void> {
    const { size } = fstatSync(this.#fd);
    if (size > this.want.size) return this.restart();
    const buffer = new Uint8Array(READ_BYTES);
    while (this.#offset < size) {
      options.signal?.throwIfAborted();
      const length = readSync(this.#fd, buffer, 0, buffer.length, this.#offset);
      if (length === 0) break;
      const piece = buffer.subarray(0, length);
      this.#digester.update(piece);
      this.#offset += length;
      await (options.onReplay?.(piece) ?? yieldToOthers());
    }
    this.#resumedBytes = this.#offset;
  }

  /**
   * Adds the next bytes.
   * @throws {DugoutError} ENOSPC or EDQUOT, after which what has come is kept; SIZE_MISMATCH when there is more than the
   * descriptor says, after which nothing is.
   */
  write(piece: Uint8Array): void {
    if (this.#offset + piece.length > this.want.size) {
      this.restart();
      throw new DugoutError(
        "SIZE_MISMATCH",
        `Cannot store the blob "${this.want.digest}": more than the ${this.want.size} bytes came that its descriptor says`,
      );
    }
    try {
      writeFully(this.#fd, piece, this.#offset);
    } catch (error) {
      throw writeError(this.store, this.#path, this.want.size - this.#offset, `the blob "${this.want.digest}"`, error);
    }
    this.#digester.update(piece);
    this.#offset += piece.length;
  }

  /** Begins again at byte 0: for a server that cannot send a range. */
  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#digester = createDigester(digestAlgorithm(this.want.digest));
    this.#offset = 0;
    this.#resumedBytes = 0;
  }

  /**
   * Verifies, flushes, and puts the blob in its place.
   * @throws {DugoutError} BLOB_TRUNCATED (bytes are missing; what has come is kept), DIGEST_MISMATCH (it is thrown away).
   */
  async commit(): Promise<void> {
    const { digest, size } = this.want;
    if (this.#offset < size) {
      throw new DugoutError(
        "BLOB_TRUNCATED",
        `Cannot store the blob "${digest}": ${this.#offset} of ${size} bytes came`,
      );
    }
    if (!await this.commitIfWhole()) {
      throw new DugoutError(
        "DIGEST_MISMATCH",
        `Cannot store the blob "${digest}": other content came than its digest says`,
      );
    }
  }

  /** Commits when the digest is right; else throws the content away and begins again at 0. */
  async commitIfWhole(): Promise<boolean> {
    if (this.#digester.finish() !== this.want.digest) {
      this.restart();
      return false;
    }
    try {
      await flush(this.#fd);
    } catch (error) {
      throw writeError(this.store, this.#path, 0, `the blob "${this.want.digest}"`, error);
    }
    placeBlob(this.store, this.#path, this.want.digest);
    this.#close();
    return true;
  }

  /** Removes what has come, and ends. */
  discard(): void {
    if (this.#open) unlinkIfThere(this.#path);
    this.#close();
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
  }

  [Symbol.dispose](): void {
    if (this.#open && fstatSync(this.#fd).size === 0) unlinkIfThere(this.#path);
    this.#close();
  }
}

/** Renames a finished file to its digest. One that is there already has the same content and is replaced. */
function placeBlob(store: ContentStore, path: string, digest: Digest): void {
  const target = blobPath(store, digest);
  try {
    renameSync(path, target);
  } catch (error) {
    // only on a file system without trustworthy locks: another machine finished, or swept, the same part
    if (errorCode(error) === "ENOENT" && hasBlob(store, digest)) return;
    throw new OsError({ call: "rename", object: target, code: errorCode(error) });
  }
  syncDirectory(dirname(target));
}

function flush(fd: number): Promise<void> {
  return new Promise((resolve, reject) => fsync(fd, (error) => error === null ? resolve() : reject(error)));
}

function yieldToOthers(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Content on its way in whose digest is known only at its end: a member of an archive, a new layer. It is nobody else's,
 * and is gone with its process, or when it is disposed of before `commit()`.
 */
export class StagedBlob {
  readonly lease: Lease;
  readonly what: string;
  /** The file, for reading again what was written. */
  readonly path: string;
  #fd: number | undefined;
  readonly #digester: Digester;
  #size = 0;
  #digest: Digest | undefined;
  #isThere = true;

  /** @param what Names the content in messages, as in `the member "layer.tar"`. */
  constructor(lease: Lease, what: string, algorithm: DigestAlgorithm = "sha256") {
    this.lease = lease;
    this.what = what;
    this.#digester = createDigester(algorithm);
    for (;;) {
      const name = `${randomHex(8)}.${formatMark(ownMark())}.stage`;
      this.path = join(lease.store.path, "ingest", name);
      this.#fd = openPart(lease.store, this.path, constants.O_CREAT | constants.O_EXCL);
      lease.store.tryLock(this.#fd);
      if (isSameFile(this.#fd, this.path)) return;
      closeSync(this.#fd);
    }
  }

  get size(): number {
    return this.#size;
  }

  /** @throws {DugoutError} ENOSPC or EDQUOT. */
  write(piece: Uint8Array): void {
    try {
      writeFully(this.#fd!, piece, this.#size);
    } catch (error) {
      throw writeError(this.lease.store, this.path, piece.length, this.what, error);
    }
    this.#digester.update(piece);
    this.#size += piece.length;
  }

  /**
   * The digest of all that was written; nothing can be written after it. The descriptor is closed, so that thousands of
   * finished ones can wait; until it is committed the mark in its name says that it is ours.
   */
  digest(): Digest {
    if (this.#digest === undefined) {
      this.#digest = this.#digester.finish();
      this.#close();
    }
    return this.#digest;
  }

  /** Puts the content in its place, held by the lease. */
  async commit(): Promise<{ digest: Digest; size: number }> {
    const { store } = this.lease;
    const digest = this.digest();
    await holdDigest(this.lease, digest);
    if (!hasBlob(store, digest, this.#size)) {
      ensureAlgorithmDir(store, digest);
      this.#fd = openPart(store, this.path, 0);
      try {
        await flush(this.#fd);
      } catch (error) {
        throw writeError(store, this.path, 0, this.what, error);
      }
      placeBlob(store, this.path, digest);
      this.#isThere = false;
    }
    this[Symbol.dispose]();
    return { digest, size: this.#size };
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  [Symbol.dispose](): void {
    if (this.#isThere) unlinkIfThere(this.path);
    this.#isThere = false;
    this.#close();
  }
}

/** Stores bytes that are in memory (a manifest, a config), held by the lease. */
export async function putBlob(
  lease: Lease,
  bytes: Uint8Array,
  what = "a document",
): Promise<{ digest: Digest; size: number }> {
  const digest = hashBytes(bytes);
  if (await holdBlob(lease, digest, bytes.length)) return { digest, size: bytes.length };
  using staged = new StagedBlob(lease, what);
  staged.write(bytes);
  return await staged.commit();
}
