/**
 * Leases: what a pull, load or build has found or put into the store and has not named yet must not be removed by
 * another process meanwhile (C-050). A lease is a file in `ingest/` that lists digests, one a line, and is locked (or,
 * where locks don't work, marked with its owner) as long as its process lives. So a killed process holds nothing.
 *
 * The order that makes it safe: under the store's lock, the holder writes the digest into its lease and then looks
 * whether the blob is there; the remover, under the same lock, reads names and leases and then removes. Where the file
 * system has no locks a window of microseconds remains; `missing blob` is then found when the image is published.
 *
 * @module
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "#linux/random.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { type ContentStore, hasBlob, listDirectory } from "./content.ts";
import { findMark, formatMark, hostMark, markState, ownMark } from "./owner_mark.ts";
import { delay } from "./delay.ts";
import { isNoSpace, noSpaceError } from "./space.ts";
import { unlinkIfThere } from "./write_file_whole.ts";

/** A hold on content. Dispose of it when the image has its name, or when the work has failed. */
export type Lease = {
  readonly store: ContentStore;
  readonly path: string;
  readonly fd: number;
  readonly held: Set<string>;
  [Symbol.dispose](): void;
};

/** Leases and parts of other machines that have not changed for so long are taken for dead. */
export const FOREIGN_AGE_MS = 24 * 60 * 60 * 1000;

const LOCK_POLL_MS = 5;

/** Opens a lease that holds nothing yet. */
export function openLease(store: ContentStore): Lease {
  for (;;) {
    const path = join(store.path, "ingest", `${randomHex(8)}.${formatMark(ownMark())}.lease`);
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND, 0o600);
    } catch (error) {
      if (isNoSpace(error)) throw noSpaceError(store.path, 0, "anything", error);
      throw error;
    }
    store.tryLock(fd);
    let isOpen = true;
    const lease: Lease = {
      store,
      path,
      fd,
      held: new Set(),
      [Symbol.dispose]() {
        if (!isOpen) return;
        isOpen = false;
        unlinkIfThere(path);
        closeSync(fd);
      },
    };
    // a sweep may have found it in the moment before it was locked
    if (isSameFile(fd, path)) return lease;
    closeSync(fd);
  }
}

/**
 * Holds a digest: from now on, until the lease ends, no rmi or prune removes it, whether it is there yet or not.
 * Layers are held by their diff-id in the same way.
 */
export async function holdDigest(lease: Lease, digest: Digest): Promise<void> {
  if (lease.held.has(digest)) return;
  await withStoreLock(lease.store, () => {
    try {
      writeSync(lease.fd, `${digest}\n`);
    } catch (error) {
      if (isNoSpace(error)) throw noSpaceError(lease.store.path, digest.length, "anything", error);
      throw error;
    }
  });
  lease.held.add(digest);
}

/** Holds a blob and tells whether it is there, so that it need not be fetched. */
export async function holdBlob(lease: Lease, digest: Digest, sizeBytes?: number): Promise<boolean> {
  await holdDigest(lease, digest);
  return hasBlob(lease.store, digest, sizeBytes);
}

/** What living leases hold: digests of blobs and diff-ids. Called under the store's lock. Dead leases are removed. */
export function readLeases(store: ContentStore, nowMs: number): Set<string> {
  const held = new Set<string>();
  for (const name of listDirectory(join(store.path, "ingest"))) {
    if (!name.endsWith(".lease")) continue;
    const path = join(store.path, "ingest", name);
    if (sweepAbandoned(store, name, nowMs) !== undefined) continue;
    let text: string;
    try {
      text = readFileSync(path, "latin1");
    } catch {
      continue; // ended just now
    }
    for (const line of text.split("\n")) if (isDigest(line)) held.add(line);
  }
  return held;
}

/**
 * Removes a file of `ingest/` whose owner is gone. On our machine the mark in its name tells; else the lock, where locks
 * reach (and the file is removed while we hold it, so that nobody takes it up in that moment); else its age.
 * @returns The bytes that this freed, or undefined when the file stays.
 */
export function sweepAbandoned(store: ContentStore, name: string, nowMs: number): number | undefined {
  const path = join(store.path, "ingest", name);
  const mark = findMark(name);
  const state = mark === undefined ? "unknown" : markState(mark);
  if (state === "alive") return undefined;
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch {
    return undefined; // gone
  }
  try {
    const { size, mtimeMs } = fstatSync(fd);
    if (state === "unknown") {
      const lock = store.tryLock(fd);
      if (lock === "busy" || !isSameFile(fd, path)) return undefined;
      const isOurs = lock === "locked" && (!store.isShared || name.endsWith(`.${hostMark()}.part`));
      if (!isOurs && nowMs - mtimeMs <= FOREIGN_AGE_MS) return undefined;
    }
    return unlinkIfThere(path) ? size : undefined;
  } finally {
    closeSync(fd);
  }
}

/**
 * Runs something short while no other process holds or removes. Where the file system has no locks, it just runs.
 * The lock ends with the process that has it, so there is no time-out.
 */
export async function withStoreLock<T>(store: ContentStore, run: () => T | Promise<T>): Promise<T> {
  const fd = openSync(join(store.path, "lock"), "a", 0o600);
  try {
    while (store.tryLock(fd) === "busy") await delay(LOCK_POLL_MS);
    return await run();
  } finally {
    closeSync(fd);
  }
}

/** Whether an open file is still the one that its path names. */
export function isSameFile(fd: number, path: string): boolean {
  const mine = fstatSync(fd, { bigint: true });
  const there = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return there !== undefined && mine.ino === there.ino && mine.dev === there.dev;
}
