/**
 * Small files that are there in full or not at all.
 *
 * @module
 */
import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { randomHex } from "#linux/random.ts";
import { formatMark, ownMark } from "./owner_mark.ts";

/**
 * Writes a file beside its place, flushes it, and renames it there: a reader, and a crash at any moment, see the old
 * content or the new. Mode 0600. The temporary file is `NAME.HOST.PID-TICKS.RANDOM.tmp` in the same directory, so that
 * a prune can tell whether its writer is still alive.
 * @throws The error of node:fs; nothing is left behind then.
 */
export function writeFileWhole(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${formatMark(ownMark())}.${randomHex(6)}.tmp`;
  const fd = openSync(temporary, "wx", 0o600);
  try {
    try {
      writeFully(fd, typeof content === "string" ? new TextEncoder().encode(content) : content, 0);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    unlinkIfThere(temporary);
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Writes all of `bytes` at `offset`. */
export function writeFully(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
}

/** Removes a file; that it cannot be removed, or is gone already, is no error. */
export function unlinkIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Flushes a directory, so that a rename in it outlives a power cut. Where a file system cannot, nothing is said. */
export function syncDirectory(path: string): void {
  try {
    const fd = openSync(path, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch { /* EINVAL on some FUSE file systems */ }
}
