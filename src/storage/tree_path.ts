/**
 * Paths that somebody typed, in a container's root or on the host, resolved by the kernel.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EAGAIN, ELOOP, ENOENT } from "#linux/errno_values.ts";
import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from "#linux/file.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import { openResolved, readLink } from "#linux/tree.ts";
import type { ByteString } from "#tar/bytes.ts";
import { type CopyDestination, splitCopyPath } from "./copy_rules.ts";
import { treeError } from "./tree_error.ts";

/** Where paths begin, and what resolution may do. */
export interface PathRoot {
  readonly root: Fd;
  /** RESOLVE_*. */
  readonly resolve: number;
}

/** The machine's own root: links are followed as for everybody. */
export const HOST_ROOT: PathRoot = { root: AT_FDCWD, resolve: 0 };

/** A container's root: no link, absolute or relative, leads out, whoever changes it meanwhile. */
export function containerRoot(root: Fd): PathRoot {
  return { root, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
}

/** As many links as the kernel follows in one path (path_resolution(7)). */
const MAX_LINKS = 40;

/** A rename anywhere on the machine while a `..` is resolved makes the kernel give up: openat2(2), EAGAIN. */
const ATTEMPTS = 1000;

/** openat2(2), again when it raced with a rename. Minus errno. */
export function openPath({ root, resolve }: PathRoot, path: ByteString, flags: number): number {
  let fd = -EAGAIN;
  for (let attempt = 0; fd === -EAGAIN && attempt < ATTEMPTS; attempt++) fd = openResolved(root, path, flags, resolve);
  return fd;
}

/** A destination, and by which path it is reached without a link at its end. */
export type FoundDestination = CopyDestination & { readonly path: ByteString };

/**
 * What is at a destination. A link is followed, also one to nothing: then that is where a file is made; but a path that
 * ends with a slash is of a directory that has to be there (C-086).
 * @throws {OsError} ELOOP, EACCES, ENOTDIR.
 */
export function findDestination(root: PathRoot, path: ByteString): FoundDestination {
  const { isAsserted } = splitCopyPath(path);
  let at = path;
  for (let links = 0;; links++) {
    if (links > MAX_LINKS) throw treeError("open", path, ELOOP);
    const { parent, base } = splitCopyPath(at);
    const found = lookAt(root, base === "." ? parent : `${parent}/${base}` as ByteString);
    if (found === -ENOENT) {
      return { kind: "missing", isAsserted, path: isAsserted ? path : at };
    }
    if (typeof found === "number") throw treeError("open", at, -found);
    if (found.target === undefined) {
      const isDirectory = (found.stat.mode & S_IFMT) === S_IFDIR;
      return { kind: isDirectory ? "directory" : "file", path: at };
    }
    at = (found.target.startsWith("/") ? found.target : `${parent}/${found.target}`) as ByteString;
  }
}

function lookAt(root: PathRoot, path: ByteString): { stat: FileStat; target: string | undefined } | number {
  const fd = openPath(root, path, O_PATH | O_NOFOLLOW);
  if (fd < 0) return fd;
  try {
    const stat = statName(fd as Fd, "");
    if (typeof stat === "number") return stat;
    if ((stat.mode & S_IFMT) !== S_IFLNK) return { stat, target: undefined };
    const target = readLink(fd as Fd, "");
    return typeof target === "number" ? target : { stat, target };
  } finally {
    close(fd as Fd);
  }
}

/** Opens a directory with O_PATH, links followed. Minus errno. */
export function openDirectoryAt(root: PathRoot, path: ByteString): number {
  return openPath(root, path, O_PATH | O_DIRECTORY);
}
