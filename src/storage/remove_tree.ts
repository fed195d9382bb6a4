/**
 * Removing trees that strangers shaped: by descriptors, following no link, crossing no mount, to any depth
 * with a bounded number of descriptors, and through directories that their owner may not enter.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { DT_DIR, DT_UNKNOWN, readDirectory } from "#linux/directory.ts";
import { EACCES, EBUSY, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV } from "#linux/errno_values.ts";
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "#linux/file.ts";
import { setModeOfPathFd } from "#linux/path_fd.ts";
import { statName } from "#linux/stat.ts";
import { openName, openResolved, removeName, setMode } from "#linux/tree.ts";
import { DugoutError } from "#oci/error.ts";
import { type ByteString, fromText, quote } from "#tar/bytes.ts";
import { treeError } from "./tree_error.ts";

const STRICT = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

/** So many directories of the way down stay open; those further up are opened again by `..`, and checked. */
const MAX_OPEN = 200;

/** A directory on the way down. */
type Level = {
  fd: Fd | undefined;
  /** File system and inode, to know it again. */
  key: string;
  name: string;
  /** Subdirectories that are still to be removed. */
  pending: string[];
};

/**
 * Removes a file or a whole tree.
 * @param path Absolute, or relative to the current directory; its last part is never followed.
 * @returns false when nothing was there.
 * @throws {DugoutError} MOUNT_IN_TREE when something is still mounted in it, which is then left alone.
 * @throws {OsError} When the kernel refuses, with the name within the tree.
 */
export function removePath(path: string): boolean {
  const bytes = fromText(path).replace(/\/+$/, "");
  const slash = bytes.lastIndexOf("/");
  const parentPath = slash < 0 ? "." : bytes.slice(0, slash) || "/";
  const name = bytes.slice(slash + 1);
  if (name === "" || name === "." || name === "..") {
    throw new RangeError(`Not a path to remove: ${JSON.stringify(path)}`);
  }
  const parent = openName(AT_FDCWD, parentPath, O_PATH | O_DIRECTORY);
  if (parent === -ENOENT) return false;
  if (parent < 0) throw treeError("open", parentPath, -parent);
  try {
    return removeTree(parent as Fd, name);
  } finally {
    close(parent as Fd);
  }
}

/** The same for a name in an open directory. */
export function removeTree(parent: Fd, name: string): boolean {
  const result = removeName(parent, name);
  if (result >= 0) return true;
  if (result === -ENOENT) return false;
  // Linux says EISDIR for a directory; POSIX and some file systems EPERM. A plain file that may not go says EPERM too.
  if (result !== -EISDIR && result !== -EPERM) throw treeError("unlink", name, -result);
  if (removeName(parent, name, AT_REMOVEDIR) >= 0) return true;
  const levels: Level[] = [];
  try {
    const top = enter(parent, name, levels);
    if (top === undefined) return false;
    levels.push(top);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const next = level.pending.pop();
      if (next !== undefined) {
        const entered = enter(level.fd!, next, levels);
        if (entered === undefined) continue;
        levels.push(entered);
        const above = levels.at(-1 - MAX_OPEN);
        if (above?.fd !== undefined) {
          close(above.fd);
          above.fd = undefined;
        }
        continue;
      }
      const up = levels.at(-2);
      if (up !== undefined && up.fd === undefined) up.fd = reopenAbove(level, up, levels);
      const done = removeName(up?.fd ?? parent, level.name, AT_REMOVEDIR);
      if (done < 0 && done !== -ENOENT) {
        if (done === -ENOTEMPTY) throw changed(levels);
        if (done === -EBUSY) throw mounted(levels);
        throw treeError("rmdir", shownPath(levels), -done);
      }
      close(level.fd!);
      levels.pop();
    }
    return true;
  } finally {
    for (const level of levels) if (level.fd !== undefined) close(level.fd);
  }
}

/**
 * Opens a directory and removes everything in it that is none.
 * @returns undefined when it is gone: several may remove one tree, and what one of them has removed is removed.
 */
function enter(parent: Fd, name: string, above: readonly Level[]): Level | undefined {
  let fd = openResolved(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, STRICT);
  if (fd === -EACCES) {
    allowOwner(parent, name, above);
    fd = openResolved(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, STRICT);
  }
  if (fd === -ENOENT) return undefined;
  if (fd === -EXDEV) throw mounted(above, name);
  if (fd < 0) throw treeError("open", shownPath(above, name), -fd);
  const level: Level = { fd: fd as Fd, key: "", name, pending: [] };
  try {
    const stat = statName(fd as Fd, "");
    if (typeof stat === "number") throw treeError("stat", shownPath(above, name), -stat);
    level.key = stat.key;
    const read = readDirectory(fd as Fd);
    // removed since it was opened
    const entries = read === -ENOENT ? [] : read;
    if (typeof entries === "number") throw treeError("read", shownPath(above, name), -entries);
    let isWritable = false;
    for (const entry of entries) {
      if (entry.type === DT_DIR) {
        level.pending.push(entry.name);
        if (isWritable) continue;
        // whether it can be removed is known before its content is gone
        if ((stat.mode & 0o300) !== 0o300) setMode(fd as Fd, 0o700);
        isWritable = true;
        continue;
      }
      let result = removeName(fd as Fd, entry.name);
      if (result === -EACCES && !isWritable) {
        setMode(fd as Fd, 0o700);
        isWritable = true;
        result = removeName(fd as Fd, entry.name);
      }
      if (result >= 0 || result === -ENOENT) continue;
      if (entry.type === DT_UNKNOWN && (result === -EISDIR || result === -EPERM)) level.pending.push(entry.name);
      else if (result === -EBUSY) throw mounted(above, name, entry.name);
      else throw treeError("unlink", shownPath(above, name, entry.name), -result);
    }
    return level;
  } catch (error) {
    close(fd as Fd);
    throw error;
  }
}

/** Gives the owner of a directory the right to enter and change it, by a descriptor that followed no link. */
function allowOwner(parent: Fd, name: string, above: readonly Level[]): void {
  const fd = openResolved(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, STRICT);
  // gone: opening it tells
  if (fd === -ENOENT) return;
  if (fd < 0) throw fd === -EXDEV ? mounted(above, name) : treeError("open", shownPath(above, name), -fd);
  try {
    const result = setModeOfPathFd(fd as Fd, 0o700);
    if (result < 0) throw treeError("chmod", shownPath(above, name), -result);
  } finally {
    close(fd as Fd);
  }
}

function reopenAbove(level: Level, up: Level, levels: readonly Level[]): Fd {
  const fd = openName(level.fd!, "..", O_RDONLY | O_DIRECTORY);
  if (fd < 0) throw fd === -ENOTDIR ? changed(levels) : treeError("open", shownPath(levels), -fd);
  const stat = statName(fd as Fd, "");
  // moved elsewhere meanwhile: `..` is a stranger's directory then
  if (typeof stat === "number" || stat.key !== up.key) {
    close(fd as Fd);
    throw changed(levels);
  }
  return fd as Fd;
}

function shownPath(levels: readonly Level[], ...names: string[]): string {
  return [...levels.map((level) => level.name), ...names].join("/");
}

function mounted(levels: readonly Level[], ...names: string[]): DugoutError {
  return new DugoutError(
    "MOUNT_IN_TREE",
    `Cannot remove ${quote(shownPath(levels, ...names) as ByteString)}: something is mounted there`,
    { hint: "Unmount it first; nothing behind it was touched" },
  );
}

function changed(levels: readonly Level[]): DugoutError {
  return new DugoutError(
    "TREE_CHANGED",
    `Cannot remove ${quote(shownPath(levels) as ByteString)}: somebody changes it at the same time`,
    { hint: "End what uses it, then try again" },
  );
}
