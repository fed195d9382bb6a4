/**
 * Whiteouts and opaque directories of a layer, put on disk as overlayfs has them, when all else of the layer is there: so
 * they never touch what the layer itself has brought, wherever they stood (C-001, C-005, C-007).
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { ELOOP, ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import { close, O_DIRECTORY, O_RDONLY, S_IFCHR, S_IFDIR, S_IFMT } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { makeNode, openResolved } from "#linux/tree.ts";
import { setXattr } from "#linux/xattr.ts";
import type { ByteString } from "#tar/bytes.ts";
import { nameOf, parentOf } from "#tar/name.ts";
import { type DirectoryCache, RESOLVE_STRICT } from "./directory_cache.ts";
import { treeError } from "./tree_error.ts";
import { OPAQUE_VALUE, OPAQUE_XATTR } from "./whiteout.ts";

/** What the disk does not hold. */
export type Unapplied = {
  /** Whiteouts that could not be made as devices. */
  readonly whiteouts: ByteString[];
  /** Directories that could not be marked. */
  readonly opaques: ByteString[];
  /** Whiteouts in directories that only lower layers have (C-006): see settle.ts. */
  readonly detached: ByteString[];
};

/** Applies them; what cannot be had on this disk is returned, for the record. */
export function applyWhiteouts(
  root: Fd,
  cache: DirectoryCache,
  whiteouts: ReadonlySet<ByteString>,
  opaques: ReadonlySet<ByteString>,
): Unapplied {
  const unapplied: Unapplied = { whiteouts: [], opaques: [], detached: [] };
  const opaqueHere = new Set(opaques);
  for (const path of whiteouts) {
    switch (applyWhiteout(cache, path)) {
      case "done":
        break;
      case "opaque":
        opaqueHere.add(path);
        break;
      case "refused":
        unapplied.whiteouts.push(path);
        break;
      case "detached":
        unapplied.detached.push(path);
    }
  }
  for (const path of opaqueHere) if (!applyOpaque(root, cache, path)) unapplied.opaques.push(path);
  return unapplied;
}

function applyWhiteout(cache: DirectoryCache, path: ByteString): "done" | "opaque" | "refused" | "detached" {
  const parent = parentOf(path);
  const dir = cache.open(parent, "find");
  // a directory that only lower layers have is not made up for it (C-006)
  if (dir === -ENOENT) return "detached";
  // a file, or a link: what the lower layers have there is out of sight anyway (C-005)
  if (typeof dir === "number" || dir.real !== parent) return "done";
  const stat = statName(dir.fd, nameOf(path));
  if (typeof stat !== "number") {
    // The layer brings the name itself. A directory then shows this layer's children only (C-017).
    return (stat.mode & S_IFMT) === S_IFDIR ? "opaque" : "done";
  }
  if (stat !== -ENOENT) throw treeError("stat", path, -stat);
  return makeNode(dir.fd, nameOf(path), S_IFCHR, 0) < 0 ? "refused" : "done";
}

/** @returns Whether there is nothing to record. */
function applyOpaque(root: Fd, cache: DirectoryCache, path: ByteString): boolean {
  if (path === "") return false; // overlayfs does not look for the attribute on a layer's root
  let fd = openResolved(root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
  if (fd === -ENOENT) {
    cache.open(path, "make");
    fd = openResolved(root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
  }
  if (fd === -ENOTDIR || fd === -ELOOP) return true;
  if (fd < 0) throw treeError("openat2", path, -fd);
  const result = setXattr(fd as Fd, OPAQUE_XATTR, OPAQUE_VALUE);
  close(fd as Fd);
  return result >= 0;
}
