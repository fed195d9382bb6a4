/**
 * An OCI image layout in a directory, as `load -i DIR` reads it.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestAlgorithm } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { OsError } from "#linux/errno.ts";
import { StagedBlob } from "#storage/ingest.ts";
import { holdBlob, type Lease } from "#storage/lease.ts";
import { errorCode } from "#storage/private_dir.ts";
import { fromText } from "#tar/bytes.ts";
import { cleanPath } from "#tar/name.ts";
import { FIRST_BYTES, type MemberSource, type StoredMember } from "./member_source.ts";

const READ_BYTES = 1024 * 1024;

/** The files of a directory, each opened without following a link in its last part, and only if it is a file. */
export class LayoutDirectory implements MemberSource {
  readonly #lease: Lease;
  readonly #path: string;
  readonly #signal: AbortSignal | undefined;

  constructor(lease: Lease, path: string, signal?: AbortSignal) {
    this.#lease = lease;
    this.#path = path;
    this.#signal = signal;
  }

  has(path: string): boolean {
    const file = this.#open(path);
    if (file === undefined) return false;
    closeSync(file.fd);
    return true;
  }

  read(path: string, maxBytes: number): Uint8Array | undefined {
    const file = this.#open(path);
    if (file === undefined) return undefined;
    try {
      if (file.size > maxBytes) {
        throw new DugoutError(
          "ARCHIVE_LIMIT",
          `Cannot load the file ${quote(path)}: it has ${file.size} bytes, more than ${maxBytes}`,
        );
      }
      const bytes = new Uint8Array(file.size);
      let length = 0;
      while (length < bytes.length) {
        const got = readSync(file.fd, bytes, length, bytes.length - length, length);
        if (got === 0) break;
        length += got;
      }
      return bytes.subarray(0, length);
    } finally {
      closeSync(file.fd);
    }
  }

  async store(path: string, expected: Digest | undefined): Promise<StoredMember | undefined> {
    const file = this.#open(path);
    if (file === undefined) return undefined;
    try {
      const buffer = new Uint8Array(Math.min(READ_BYTES, Math.max(file.size, FIRST_BYTES)));
      const first = buffer.slice(0, readSync(file.fd, buffer, 0, FIRST_BYTES, 0));
      if (expected !== undefined && await holdBlob(this.#lease, expected, file.size)) {
        return { digest: expected, size: file.size, first };
      }
      using staged = new StagedBlob(
        this.#lease,
        `the file ${quote(path)}`,
        expected === undefined ? "sha256" : digestAlgorithm(expected),
      );
      for (;;) {
        this.#signal?.throwIfAborted();
        const length = readSync(file.fd, buffer, 0, buffer.length, staged.size);
        if (length === 0) break;
        staged.write(buffer.subarray(0, length));
      }
      const digest = staged.digest();
      if (expected !== undefined && digest !== expected) {
        throw new DugoutError("DIGEST_MISMATCH", `Cannot load the file ${quote(path)}: it has the digest "${digest}"`);
      }
      return { ...await staged.commit(), first };
    } finally {
      closeSync(file.fd);
    }
  }

  #open(path: string): { fd: number; size: number } | undefined {
    const clean = cleanPath(fromText(path));
    if (clean === undefined) return undefined;
    let fd: number;
    try {
      // O_NONBLOCK: a fifo is not waited for
      fd = openSync(join(this.#path, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const code = errorCode(error);
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw new OsError({ call: "open", object: join(this.#path, path), code });
    }
    const stat = fstatSync(fd);
    if (stat.isFile()) return { fd, size: stat.size };
    closeSync(fd);
    return undefined;
  }
}
