/**
 * The directories of a tree that is being made, by descriptors.
 *
 * Every path is resolved by the kernel beneath the tree's root. A path whose parts are all directories is opened at once
 * (`openat2`, no link on the way). Else it is walked part by part, as an archive's reader in a chroot would: links are
 * followed within the tree, what is missing is made, and what is no directory gives way (C-018, A-002, A-003).
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import {
  close,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFLNK,
  S_IFMT,
} from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { makeDirectory, openName, openResolved, readLink, removeName } from "#linux/tree.ts";
import type { ByteString } from "#tar/bytes.ts";
import { PATH_MAX_BYTES } from "#tar/name.ts";
import { treeError } from "./tree_error.ts";

/** No link on the way, no way out, no other mount. */
export const RESOLVE_STRICT: number = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

/** Directories kept open. Archives go depth first, so few are used at a time. */
const MAX_OPEN = 64;
/** As many links as the kernel follows in one path (path_resolution(7)). */
const MAX_LINKS = 40;

/** A directory, and its path without links. */
export type OpenedDirectory = { readonly fd: Fd; readonly real: ByteString };

export class DirectoryCache {
  readonly #root: OpenedDirectory;
  readonly #onMade: (real: ByteString) => void;
  /** By the path that was asked for; the one used last stands last. */
  readonly #opened = new Map<ByteString, OpenedDirectory>();
  #lastPath: ByteString | undefined;
  #last: OpenedDirectory;

  /**
   * @param root Stays the caller's.
   * @param onMade Told of each directory that was made because something lies in it; its mode is 0700 for now.
   */
  constructor(root: Fd, onMade: (real: ByteString) => void) {
    this.#root = { fd: root, real: "" as ByteString };
    this.#last = this.#root;
    this.#onMade = onMade;
  }

  /**
   * Opens a directory, with O_PATH. The descriptor is the cache's; the two that were opened last are good.
   * @param path Clean, as `cleanPath` makes it; "" is the root.
   * @param mode make: what is missing is made. find: minus errno is returned.
   */
  open(path: ByteString, mode: "make"): OpenedDirectory;
  open(path: ByteString, mode: "find"): OpenedDirectory | number;
  open(path: ByteString, mode: "make" | "find"): OpenedDirectory | number {
    if (path === this.#lastPath) return this.#last;
    if (path === "") return this.#root;
    let opened = this.#opened.get(path);
    if (opened === undefined) {
      const found = this.#resolve(path, mode);
      if (typeof found === "number") return found;
      opened = found;
      this.#makeRoom();
    } else this.#opened.delete(path);
    this.#opened.set(path, opened);
    this.#lastPath = path;
    this.#last = opened;
    return opened;
  }

  /** Forgets everything: to be called when a directory or a link has been replaced, since any path may lead through it. */
  clear(): void {
    for (const { fd } of this.#opened.values()) close(fd);
    this.#opened.clear();
    this.#lastPath = undefined;
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #makeRoom(): void {
    if (this.#opened.size < MAX_OPEN) return;
    for (const [path, { fd }] of this.#opened) {
      close(fd);
      this.#opened.delete(path);
      return;
    }
  }

  #resolve(path: ByteString, mode: "make" | "find"): OpenedDirectory | number {
    const fd = openResolved(this.#root.fd, path, O_PATH | O_DIRECTORY, RESOLVE_STRICT);
    if (fd >= 0) return { fd: fd as Fd, real: path };
    if (fd !== -ENOENT && fd !== -ELOOP && fd !== -ENOTDIR) throw treeError("openat2", path, -fd);
    return this.#walk(path, mode);
  }

  #walk(path: ByteString, mode: "make" | "find"): OpenedDirectory | number {
    const left = path.split("/").reverse();
    let done: string[] = [];
    let links = 0;
    let at = this.#openAgain([]);
    try {
      for (let part = left.pop(); part !== undefined; part = left.pop()) {
        if (part === "" || part === ".") continue;
        if (part === "..") { // from a link; the root's parent is the root, as in a chroot
          done = done.slice(0, -1);
          close(at);
          at = this.#openAgain(done);
          continue;
        }
        const next = openResolved(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_STRICT);
        if (next >= 0) {
          close(at);
          at = next as Fd;
          done.push(part);
          continue;
        }
        const target = next === -ENOENT ? undefined : this.#readLinkOf(at, part, path);
        if (target !== undefined) {
          if (++links > MAX_LINKS) throw treeError("open", path, ELOOP);
          if (target.startsWith("/")) {
            done = [];
            close(at);
            at = this.#openAgain(done);
          }
          left.push(...target.split("/").reverse());
          continue;
        }
        if (mode === "find") {
          close(at);
          return next === -ENOENT ? -ENOENT : -ENOTDIR;
        }
        if (next !== -ENOENT) {
          const removed = removeName(at, part);
          if (removed < 0) throw treeError("unlink", path, -removed);
        }
        const made = makeDirectory(at, part, 0o700);
        if (made < 0) throw treeError("mkdir", path, -made);
        this.#onMade(realPath([...done, part], path));
        left.push(part);
      }
    } catch (error) {
      close(at);
      throw error;
    }
    return { fd: at, real: realPath(done, path) };
  }

  /** The target of a link, undefined for anything else that is no directory. */
  #readLinkOf(dir: Fd, name: string, path: ByteString): string | undefined {
    const stat = statName(dir, name);
    if (typeof stat === "number") throw treeError("stat", path, -stat);
    if ((stat.mode & S_IFMT) !== S_IFLNK) return undefined;
    const target = readLink(dir, name);
    if (typeof target === "number") throw treeError("readlink", path, -target);
    return target;
  }

  #openAgain(real: readonly string[]): Fd {
    const path = real.join("/");
    const fd = path === ""
      ? openName(this.#root.fd, ".", O_PATH | O_DIRECTORY)
      : openResolved(this.#root.fd, path, O_PATH | O_DIRECTORY, RESOLVE_STRICT);
    if (fd < 0) throw treeError("openat2", path, -fd);
    return fd as Fd;
  }
}

/** Through links a path can become longer than any call takes. */
function realPath(parts: readonly string[], path: ByteString): ByteString {
  const real = parts.join("/");
  if (real.length > PATH_MAX_BYTES) throw treeError("open", path, ENAMETOOLONG);
  return real as ByteString;
}
