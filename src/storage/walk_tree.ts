/**
 * Walking a tree that somebody else may be changing: by descriptors, following no link, to any depth with a bounded
 * number of descriptors.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { readDirectory } from "#linux/directory.ts";
import { ELOOP, ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import {
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFDIR,
  S_IFMT,
} from "#linux/file.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import { openName, openResolved } from "#linux/tree.ts";
import { DugoutError } from "#oci/error.ts";
import { type ByteString, quote } from "#tar/bytes.ts";
import { treeError } from "./tree_error.ts";

/** A name that was found. */
export interface WalkedEntry {
  /** The directory that it stands in. */
  readonly dir: Fd;
  readonly name: string;
  /** From the top, without a slash in front. */
  readonly path: ByteString;
  readonly stat: FileStat;
  /** Of a directory: opened for reading. */
  readonly fd: Fd | undefined;
}

/** Who is told of a walk, in the order of the names' bytes. */
export interface TreeVisitor {
  /** A name, a directory before what is in it. @returns Whether a directory is entered. */
  entry(entry: WalkedEntry): boolean;
  /** A directory was entered: the top too, with the empty path. `names` are those in it. */
  enter?(path: ByteString, fd: Fd, names: readonly string[]): void;
}

/** What a walk may do. */
export interface WalkOptions {
  /** Whether other mounts are entered. */
  readonly crossesMounts: boolean;
}

const BENEATH = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

/** So many directories of the way down stay open; those further up are opened again by `..`, and checked. */
const MAX_OPEN = 200;

type Level = {
  fd: Fd | undefined;
  /** File system and inode, to know it again. */
  readonly key: string;
  readonly path: ByteString;
  readonly names: readonly string[];
  next: number;
};

/**
 * Walks everything below a directory.
 * @param top Open for reading; stays the caller's.
 * @throws {OsError} When something may not be read; {DugoutError} TREE_CHANGED when the way back is not what it was.
 */
export function walkTree(top: Fd, visitor: TreeVisitor, options: WalkOptions): void {
  const resolve = BENEATH | (options.crossesMounts ? 0 : RESOLVE_NO_XDEV);
  const first = openName(top, ".", O_RDONLY | O_DIRECTORY);
  if (first < 0) throw treeError("open", "", -first);
  const levels: Level[] = [];
  try {
    levels.push(openLevel(first as Fd, "" as ByteString, visitor));
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names[level.next++];
      if (name === undefined) {
        const up = levels.at(-2);
        if (up !== undefined && up.fd === undefined) up.fd = reopenAbove(level, up);
        levels.pop();
        close(level.fd!);
        continue;
      }
      const next = visitName(level, name, resolve, visitor);
      if (next === undefined) continue;
      levels.push(openLevel(next.fd, next.path, visitor));
      const above = levels.at(-1 - MAX_OPEN);
      if (above?.fd !== undefined) {
        close(above.fd);
        above.fd = undefined;
      }
    }
  } finally {
    for (const { fd } of levels) if (fd !== undefined) close(fd);
  }
}

/** The level of a directory, which owns its descriptor from now on. */
function openLevel(fd: Fd, path: ByteString, visitor: TreeVisitor): Level {
  try {
    const stat = statName(fd, "");
    if (typeof stat === "number") throw treeError("stat", path, -stat);
    const entries = readDirectory(fd);
    if (typeof entries === "number") throw treeError("read", path, -entries);
    const names = entries.map(({ name }) => name);
    visitor.enter?.(path, fd, names);
    return { fd, key: stat.key, path, names, next: 0 };
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** @returns The directory to go on in; undefined for anything else, and for what has just gone. */
function visitName(
  level: Level,
  name: string,
  resolve: number,
  visitor: TreeVisitor,
): { fd: Fd; path: ByteString } | undefined {
  const dir = level.fd!;
  const path = (level.path === "" ? name : `${level.path}/${name}`) as ByteString;
  const stat = statName(dir, name);
  if (stat === -ENOENT) return undefined;
  if (typeof stat === "number") throw treeError("stat", path, -stat);
  if ((stat.mode & S_IFMT) !== S_IFDIR) {
    visitor.entry({ dir, name, path, stat, fd: undefined });
    return undefined;
  }
  const fd = openResolved(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve);
  // it has gone, or given way to something else, since it was listed
  if (fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP) return undefined;
  if (fd < 0) throw treeError("open", path, -fd);
  let entered = false;
  try {
    const own = statName(fd as Fd, "");
    if (typeof own === "number") throw treeError("stat", path, -own);
    entered = visitor.entry({ dir, name, path, stat: own, fd: fd as Fd });
  } finally {
    if (!entered) close(fd as Fd);
  }
  return entered ? { fd: fd as Fd, path } : undefined;
}

function reopenAbove(level: Level, up: Level): Fd {
  const fd = openName(level.fd!, "..", O_RDONLY | O_DIRECTORY);
  const stat = fd < 0 ? fd : statName(fd as Fd, "");
  // moved elsewhere meanwhile: `..` is a stranger's directory then
  if (typeof stat !== "number" && stat.key === up.key) return fd as Fd;
  if (fd >= 0) close(fd as Fd);
  throw new DugoutError(
    "TREE_CHANGED",
    `Cannot read ${quote(level.path)}: somebody moves the directories that it lies in at the same time`,
    { hint: "try again" },
  );
}
