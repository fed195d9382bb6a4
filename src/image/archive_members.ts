/**
 * An image archive, read once from beginning to end, as it comes from a pipe. What its members are for is known only when
 * its last one has come (`manifest.json` is often the last), so each goes into the store's staging place, where it is
 * nobody's, and small ones into memory; those that an image needs are then moved to their digests, and the rest is gone.
 *
 * Members choose no name on disk: their paths are keys of a Map and nothing else.
 *
 * @module
 */
import { closeSync, openSync, readSync } from "node:fs";
import { createDigester, type Digest, digestAlgorithm, type Digester, isDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { hasBlob, readBlob } from "#storage/content.ts";
import { decompress } from "#storage/decompress.ts";
import { putBlob, StagedBlob } from "#storage/ingest.ts";
import { LayerError } from "#storage/layer_error.ts";
import { holdBlob, type Lease } from "#storage/lease.ts";
import { freeBytes, noSpaceError } from "#storage/space.ts";
import { type ByteString, fromText, quote as quoteBytes, toText } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { TarError } from "#tar/error.ts";
import { cleanPath } from "#tar/name.ts";
import { TarReader } from "#tar/reader.ts";
import { FIRST_BYTES, type MemberSource, type StoredMember } from "./member_source.ts";

/** What an archive may cost. */
export type ArchiveLimits = {
  readonly maxEntries: number;
  /** Of the whole archive, uncompressed. What does not fit on the disk is refused anyway, before it is written. */
  readonly maxTotalBytes: number;
  /** Uncompressed bytes for a compressed one, beyond the first 100 MB. */
  readonly maxRatio: number;
};

export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = { maxEntries: 100_000, maxTotalBytes: 2 ** 43, maxRatio: 500 };

/** Members up to this size stay in memory, as long as all of them together are no more than the second number. */
const SMALL_BYTES = 64 * 1024;
const SMALL_TOTAL_BYTES = 16 * 1024 * 1024;
const LINKS_MAX = 16;

type Member =
  | { kind: "memory"; bytes: Uint8Array; digest: Digest }
  | { kind: "staged"; staged: StagedBlob; first: Uint8Array }
  /** Not written, since the store has a blob of the digest that its path says. */
  | { kind: "present"; digest: Digest; size: number; first: Uint8Array }
  | { kind: "stored"; stored: StoredMember };

/** The members of an archive. Dispose of it: what was not stored is removed. */
export class ArchiveMembers implements MemberSource {
  readonly #lease: Lease;
  readonly #members = new Map<ByteString, Member>();
  /** Symlinks and hard links: docker before 1.10 links layers that occur twice. */
  readonly #links = new Map<ByteString, ByteString>();
  #smallBytes = 0;
  #entries = 0;

  private constructor(lease: Lease) {
    this.#lease = lease;
  }

  /**
   * Reads an archive to its end: plain, gzip or zstd.
   * @throws {DugoutError} ARCHIVE_INVALID (no archive, or one that is cut), ARCHIVE_LIMIT, ARCHIVE_AMBIGUOUS, ENOSPC,
   * EDQUOT; the signal's reason; what the source throws.
   */
  static async read(
    lease: Lease,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    limits: ArchiveLimits,
    signal?: AbortSignal,
  ): Promise<ArchiveMembers> {
    const members = new ArchiveMembers(lease);
    let writer: MemberWriter | undefined;
    try {
      const reader = new TarReader({
        entry: (entry) => writer = members.#begin(entry, limits),
        data: (bytes, offsetBytes) => writer?.write(bytes, offsetBytes),
        end: () => {
          if (writer !== undefined) members.#end(writer);
          writer = undefined;
        },
      });
      await decompress(
        source,
        (bytes) => reader.write(bytes),
        {
          maxEntries: limits.maxEntries,
          maxFileBytes: limits.maxTotalBytes,
          maxTotalBytes: limits.maxTotalBytes,
          maxRatio: limits.maxRatio,
        },
        signal,
      );
      reader.finish();
      return members;
    } catch (error) {
      writer?.abandon();
      members[Symbol.dispose]();
      if (error instanceof TarError || error instanceof LayerError) {
        const code = error.code === "LAYER_LIMIT" ? "ARCHIVE_LIMIT" : "ARCHIVE_INVALID";
        throw new DugoutError(code, `Cannot load the archive: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  #begin(entry: TarEntry, limits: ArchiveLimits): MemberWriter | undefined {
    if (++this.#entries > limits.maxEntries) {
      throw new DugoutError("ARCHIVE_LIMIT", `Cannot load the archive: it has more than ${limits.maxEntries} members`);
    }
    const path = cleanPath(entry.path);
    if (path === undefined) throw invalid(`the member ${quoteBytes(entry.path)} lies outside of it`);
    switch (entry.kind) {
      case "directory":
      case "char":
      case "block":
      case "fifo":
        return undefined; // nothing is made of them
      case "hardlink":
      case "symlink":
        this.#addLink(path, entry);
        return undefined;
      case "file":
        break;
      default:
        throw new Error(`Unknown kind ${entry.kind satisfies never}`);
    }
    if (entry.sparse !== undefined) throw invalid(`the member ${quoteBytes(entry.path)} is a sparse file`);
    const size = entry.sizeBytes;
    if (this.#links.has(path)) throw ambiguous(path);
    const digest = digestOfPath(path);
    if (digest !== undefined && hasBlob(this.#lease.store, digest, size)) {
      return new MemberWriter(path, { kind: "present", digest, size });
    }
    const algorithm = digest === undefined ? "sha256" : digestAlgorithm(digest);
    if (size <= SMALL_BYTES && algorithm === "sha256" && this.#smallBytes + size <= SMALL_TOTAL_BYTES) {
      this.#smallBytes += size;
      return new MemberWriter(path, { kind: "memory", bytes: new Uint8Array(size) });
    }
    const what = `the member ${quoteBytes(path)} of the archive`;
    if (size > freeBytes(this.#lease.store.path)) throw noSpaceError(this.#lease.store.path, size, what);
    return new MemberWriter(path, { kind: "staged", staged: new StagedBlob(this.#lease, what, algorithm) });
  }

  #addLink(path: ByteString, entry: TarEntry): void {
    const directory = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
    // a hard link's target is a path from the root, a symlink's from where it lies; absolute ones lead nowhere
    const text = (entry.kind === "hardlink" ? entry.linkPath : directory + entry.linkPath) as ByteString;
    const target = entry.kind === "symlink" && entry.linkPath.startsWith("/") ? undefined : cleanPath(text);
    if (target === undefined) throw invalid(`the link ${quoteBytes(path)} leads outside of it`);
    if (this.#members.has(path) || (this.#links.get(path) ?? target) !== target) throw ambiguous(path);
    this.#links.set(path, target);
  }

  #end(writer: MemberWriter): void {
    const member = writer.finish();
    const before = this.#members.get(writer.path);
    if (before === undefined) {
      this.#members.set(writer.path, member);
      return;
    }
    // some writers put a shared layer in twice; two contents under one name have two meanings
    if (member.kind === "staged") member.staged[Symbol.dispose]();
    if (digestOf(before) !== digestOf(member)) throw ambiguous(writer.path);
  }

  has(path: string): boolean {
    return this.#find(path) !== undefined;
  }

  read(path: string, maxBytes: number): Uint8Array | undefined {
    const member = this.#find(path);
    if (member === undefined) return undefined;
    const size = member.kind === "memory" ? member.bytes.length : sizeOf(member);
    if (size > maxBytes) {
      throw new DugoutError(
        "ARCHIVE_LIMIT",
        `Cannot load the archive: the member ${quote(path)} has ${size} bytes, more than ${maxBytes}`,
      );
    }
    if (member.kind === "memory") return member.bytes;
    if (member.kind !== "staged") return readBlob(this.#lease.store, digestOf(member), { maxBytes });
    return readWhole(member.staged.path, size);
  }

  async store(path: string, expected: Digest | undefined): Promise<StoredMember | undefined> {
    const member = this.#find(path);
    if (member === undefined) return undefined;
    const digest = digestOf(member);
    if (expected !== undefined && digest !== expected) {
      throw new DugoutError(
        "DIGEST_MISMATCH",
        `Cannot load the archive: the member ${quote(path)} has the digest "${digest}", not "${expected}"`,
      );
    }
    switch (member.kind) {
      case "stored":
        return member.stored;
      case "memory": {
        const { bytes } = member;
        return {
          ...await putBlob(this.#lease, bytes, `the member ${quote(path)} of the archive`),
          first: bytes.subarray(0, FIRST_BYTES),
        };
      }
      case "present": {
        const { size, first } = member;
        if (await holdBlob(this.#lease, digest, size)) return { digest, size, first };
        throw new DugoutError(
          "BLOB_UNKNOWN",
          `Cannot load the archive: the blob "${digest}" was removed while it was read`,
          {
            hint: "Load it again",
          },
        );
      }
      case "staged": {
        const stored = { ...await member.staged.commit(), first: member.first };
        this.#members.set(this.#resolve(path)!, { kind: "stored", stored });
        return stored;
      }
      default:
        throw new Error(`Unknown member ${member satisfies never}`);
    }
  }

  #find(path: string): Member | undefined {
    const resolved = this.#resolve(path);
    return resolved === undefined ? undefined : this.#members.get(resolved);
  }

  /** Follows links, a few deep; a ring of them leads nowhere. */
  #resolve(path: string): ByteString | undefined {
    let at = cleanPath(fromText(path));
    for (let depth = 0; at !== undefined && depth < LINKS_MAX; depth++) {
      const target = this.#links.get(at);
      if (target === undefined) return at;
      at = target;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const member of this.#members.values()) if (member.kind === "staged") member.staged[Symbol.dispose]();
    this.#members.clear();
  }
}

type Target =
  | { kind: "memory"; bytes: Uint8Array }
  | { kind: "staged"; staged: StagedBlob }
  | { kind: "present"; digest: Digest; size: number };

/** Takes the content of one member. */
class MemberWriter {
  readonly path: ByteString;
  readonly #target: Target;
  readonly #first = new Uint8Array(FIRST_BYTES);
  #size = 0;
  /** Of what is not written: content that claims to be there already has to be the same. */
  readonly #digester: Digester | undefined;

  constructor(path: ByteString, target: Target) {
    this.path = path;
    this.#target = target;
    if (target.kind !== "staged") {
      this.#digester = createDigester(
        target.kind === "present" && target.digest.startsWith("sha512") ? "sha512" : "sha256",
      );
    }
  }

  write(bytes: Uint8Array, offsetBytes: number): void {
    if (offsetBytes < FIRST_BYTES) this.#first.set(bytes.subarray(0, FIRST_BYTES - offsetBytes), offsetBytes);
    this.#size += bytes.length;
    this.#digester?.update(bytes);
    if (this.#target.kind === "staged") this.#target.staged.write(bytes);
    else if (this.#target.kind === "memory") this.#target.bytes.set(bytes, offsetBytes);
  }

  finish(): Member {
    const first = this.#first.subarray(0, Math.min(this.#size, FIRST_BYTES));
    const target = this.#target;
    if (target.kind === "staged") {
      target.staged.digest(); // closes the file
      return { kind: "staged", staged: target.staged, first };
    }
    const digest = this.#digester!.finish();
    if (target.kind === "memory") return { ...target, digest };
    if (digest !== target.digest) {
      throw new DugoutError(
        "DIGEST_MISMATCH",
        `Cannot load the archive: the member ${quoteBytes(this.path)} has the digest "${digest}"`,
      );
    }
    return { ...target, first };
  }

  abandon(): void {
    if (this.#target.kind === "staged") this.#target.staged[Symbol.dispose]();
  }
}

function digestOf(member: Member): Digest {
  return member.kind === "staged"
    ? member.staged.digest()
    : member.kind === "stored"
    ? member.stored.digest
    : member.digest;
}

function sizeOf(member: Exclude<Member, { kind: "memory" }>): number {
  return member.kind === "staged" ? member.staged.size : member.kind === "stored" ? member.stored.size : member.size;
}

/** The digest that a path of an OCI layout says: `blobs/sha256/HEX` (image-layout). */
function digestOfPath(path: ByteString): Digest | undefined {
  const match = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(path);
  const digest = match === null ? "" : `${match[1]}:${match[2]}`;
  return isDigest(digest) ? digest : undefined;
}

function readWhole(path: string, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const fd = openSync(path, "r");
  try {
    for (let at = 0; at < size;) {
      const got = readSync(fd, bytes, at, size - at, at);
      if (got === 0) throw new Error(`Staged file ${path} is shorter than ${size} bytes`);
      at += got;
    }
  } finally {
    closeSync(fd);
  }
  return bytes;
}

function invalid(problem: string): DugoutError {
  return new DugoutError("ARCHIVE_INVALID", `Cannot load the archive: ${problem}`);
}

function ambiguous(path: ByteString): DugoutError {
  return new DugoutError(
    "ARCHIVE_AMBIGUOUS",
    `Cannot load the archive: it has two different members called ${quote(toText(path) ?? path)}`,
  );
}
