/**
 * Layers as overlayfs would show them, by descriptors and without mounting anything: whiteouts hide, opaque directories
 * hide what is below them, links lead within the tree as they would in a chroot.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { readDirectory } from "#linux/directory.ts";
import { ELOOP } from "#linux/errno_values.ts";
import {
  AT_FDCWD,
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openAt,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from "#linux/file.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import { openName, openResolved, readLink } from "#linux/tree.ts";
import { getXattr } from "#linux/xattr.ts";
import type { ByteString } from "#tar/bytes.ts";
import { RESOLVE_STRICT } from "./directory_cache.ts";
import { treeError } from "./tree_error.ts";
import { OPAQUE_XATTR } from "./whiteout.ts";

/** As many links as the kernel follows in one path (path_resolution(7)). */
const MAX_LINKS = 40;

/** What a path leads to. The parts of a directory are the caller's to close, topmost first. */
export type MergedFound =
  | { readonly kind: "directory"; readonly parts: readonly Fd[] }
  | { readonly kind: "file" }
  | { readonly kind: "missing" };

/** Opens the roots of layers. @param directories Topmost first. */
export function openLayerRoots(directories: readonly string[]): Fd[] {
  const roots: Fd[] = [];
  try {
    for (const path of directories) roots.push(openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
    return roots;
  } catch (error) {
    roots.forEach(close);
    throw error;
  }
}

/**
 * Follows a path, links too, beneath the root of the tree.
 * @throws {OsError} ELOOP when links lead nowhere.
 */
export function findMerged(roots: readonly Fd[], path: ByteString): MergedFound {
  const left = splitPath(path).reverse();
  let done: string[] = [];
  let links = 0;
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    if (part === "..") {
      done.pop(); // the root's parent is the root
      continue;
    }
    const found = lookUp(roots, [...done, part]);
    if (found.kind === "directory") {
      found.parts.forEach(close);
      done.push(part);
    } else if (found.kind === "link") {
      if (++links > MAX_LINKS) throw treeError("open", path, ELOOP);
      if (found.target.startsWith("/")) done = [];
      left.push(...splitPath(found.target).reverse());
    } else return found.kind === "file" && left.length === 0 ? { kind: "file" } : { kind: "missing" };
  }
  const found = lookUp(roots, done);
  return found.kind === "link" ? { kind: "missing" } : found;
}

/** A directory as one of the layers has it. The descriptor is the caller's to close. */
export interface MergedPart {
  /** Which of the roots. */
  readonly index: number;
  readonly fd: Fd;
}

/** What the layers have of a directory, topmost first; nothing where they show none. @param path Without links on the way. */
export function openMergedParts(roots: readonly Fd[], path: ByteString): MergedPart[] {
  const parts: MergedPart[] = [];
  const names = splitPath(path);
  for (const [index, root] of roots.entries()) {
    const found = lookInLayer(root, names);
    if (found === "absent") continue;
    if (found === "hidden" || found.kind !== "directory") break;
    parts.push({ index, fd: found.fd });
    if (found.isOpaque) break;
  }
  return parts;
}

/** What is there of a name, and in which of the roots; undefined where the layers show nothing. */
export function lookAtMerged(
  parts: readonly MergedPart[],
  name: string,
): { readonly index: number; readonly stat: FileStat } | undefined {
  for (const { index, fd } of parts) {
    const stat = statName(fd, name);
    if (typeof stat === "number") continue;
    return isWhiteout(stat) ? undefined : { index, stat };
  }
  return undefined;
}

/** All names that the layers show in a directory, in the order of their bytes. */
export function listMerged(parts: readonly MergedPart[]): string[] {
  const names = new Set<string>();
  for (const { fd } of parts) {
    const own = openName(fd, ".", O_RDONLY | O_DIRECTORY);
    const entries = own < 0 ? own : readDirectory(own as Fd);
    if (own >= 0) close(own as Fd);
    if (typeof entries === "number") throw treeError("read", "", -entries);
    for (const { name } of entries) names.add(name);
  }
  return [...names].sort((a, b) => (a < b ? -1 : 1)).filter((name) => lookAtMerged(parts, name) !== undefined);
}

function splitPath(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

type LookedUp = MergedFound | { readonly kind: "link"; readonly target: string };

/** What the layers show at a path without links on the way. */
function lookUp(roots: readonly Fd[], path: readonly string[]): LookedUp {
  const parts: Fd[] = [];
  for (const root of roots) {
    const found = lookInLayer(root, path);
    if (found === "absent") continue;
    if (found === "hidden") break;
    if (found.kind === "directory") {
      parts.push(found.fd);
      if (found.isOpaque) break;
    } else {
      // below a directory it is out of sight
      if (parts.length === 0) return found;
      break;
    }
  }
  return parts.length === 0 ? { kind: "missing" } : { kind: "directory", parts };
}

type InLayer =
  | { readonly kind: "directory"; readonly fd: Fd; readonly isOpaque: boolean }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "file" };

/** In one layer: hidden when it hides what is below. */
function lookInLayer(root: Fd, path: readonly string[]): InLayer | "absent" | "hidden" {
  let at = expectFd(openName(root, ".", O_RDONLY | O_DIRECTORY), "");
  let isOpaque = hasOpaqueMark(at);
  let keeps = false;
  try {
    for (const [index, part] of path.entries()) {
      const stat = statName(at, part);
      if (typeof stat === "number") return isOpaque ? "hidden" : "absent";
      if (isWhiteout(stat)) return "hidden";
      if ((stat.mode & S_IFMT) !== S_IFDIR) {
        if (index < path.length - 1) return "hidden";
        if ((stat.mode & S_IFMT) !== S_IFLNK) return { kind: "file" };
        const target = readLink(at, part);
        return typeof target === "number" ? "hidden" : { kind: "link", target };
      }
      const next = expectFd(openResolved(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_STRICT), part);
      close(at);
      at = next;
      isOpaque ||= hasOpaqueMark(at);
    }
    keeps = true;
    return { kind: "directory", fd: at, isOpaque };
  } finally {
    if (!keeps) close(at);
  }
}

/** Overlayfs' mark of what is gone: a device 0:0. */
export function isWhiteout(stat: FileStat): boolean {
  return (stat.mode & S_IFMT) === S_IFCHR && stat.deviceMajor === 0 && stat.deviceMinor === 0;
}

/** Whether a directory shows nothing of the layers below. */
export function hasOpaqueMark(fd: Fd): boolean {
  return typeof getXattr(fd, OPAQUE_XATTR) !== "number";
}

function expectFd(result: number, name: string): Fd {
  if (result < 0) throw treeError("open", name as ByteString, -result);
  return result as Fd;
}
