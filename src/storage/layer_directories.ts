import type { Fd } from "#linux/call.ts";
import { ELOOP, ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import { close, O_DIRECTORY, O_RDONLY } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { openName, openResolved } from "#linux/tree.ts";
import type { ByteString } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { RESOLVE_STRICT } from "./directory_cache.ts";
import type { LayerMetadata, Metadata } from "./layer_metadata.ts";
import { treeError } from "./tree_error.ts";

/** What a directory gets when everything in it is there. */
type LateDirectory = {
  readonly metadata: Metadata;
  /** File system and inode of the directory that was made; undefined for the root, and for made-up ones. */
  readonly key: string | undefined;
};

/** The directories of a layer that is being made: 0700 until its end, when they get their modes and times (C-014, C-017). */
export class LayerDirectories {
  readonly #late = new Map<ByteString, LateDirectory>();
  readonly #madeUp = new Set<ByteString>();

  /** Those that no entry names. */
  get madeUp(): ByteString[] {
    return [...this.#madeUp];
  }

  has(path: ByteString): boolean {
    return this.#late.has(path);
  }

  /** @param key File system and inode; undefined for the root. */
  note(path: ByteString, { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }: TarEntry, key?: string): void {
    this.#madeUp.delete(path);
    this.#late.set(path, { metadata: { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs }, key });
  }

  /** A directory that no entry names: as docker makes them, until the layers below say more (see settle.ts). */
  noteMadeUp(path: ByteString, { mtimeSeconds, mtimeNanoseconds }: TarEntry): void {
    const metadata = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds, mtimeNanoseconds, xattrs: new Map() };
    this.#late.set(path, { metadata, key: undefined });
    this.#madeUp.add(path);
  }

  /** It has been removed. */
  forget(path: ByteString): void {
    this.#late.delete(path);
    this.#madeUp.delete(path);
  }

  /** Deepest first, so that no directory is closed before what lies in it, as a path is longer than its parents' paths. */
  finish(root: Fd, metadata: LayerMetadata): void {
    const paths = [...this.#late.keys()].sort((a, b) => b.length - a.length);
    for (const path of paths) {
      const late = this.#late.get(path)!;
      const fd = path === ""
        ? openName(root, ".", O_RDONLY | O_DIRECTORY)
        : openResolved(root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
      // it has given way to something else since (C-017)
      if (fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP) continue;
      if (fd < 0) throw treeError("openat2", path, -fd);
      try {
        if (isSame(fd as Fd, late.key)) metadata.describeDirectory(fd as Fd, path, late.metadata);
      } finally {
        close(fd as Fd);
      }
    }
  }
}

function isSame(fd: Fd, key: string | undefined): boolean {
  if (key === undefined) return true;
  const stat = statName(fd, "");
  return typeof stat !== "number" && stat.key === key;
}
