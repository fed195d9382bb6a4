/**
 * An archive into a tree that is there and that somebody else may be changing: what `cp` brings into a container, and what
 * it lays down on the host. No less strict than a layer that is unpacked (A-002 … A-006): names are resolved by the kernel,
 * what is replaced is unlinked first, files are made without a name and get it when they are whole, and late modes and times go
 * to the directory that was seen before.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import {
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  EOPNOTSUPP,
  EPERM,
  EROFS,
  EXDEV,
} from "#linux/errno_values.ts";
import {
  close,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  S_IFDIR,
  S_IFIFO,
  S_IFMT,
} from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import {
  makeDirectory,
  makeHardLink,
  makeNode,
  makeSymlink,
  openName,
  removeName,
  setMode,
  setMtime,
  setOwner,
  setSize,
  writeAt,
} from "#linux/tree.ts";
import { nameFile, openUnnamed } from "#linux/unnamed_file.ts";
import { setXattr } from "#linux/xattr.ts";
import { DugoutError } from "#oci/error.ts";
import { type ByteString, quote } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { cleanPath, nameOf, parentOf } from "#tar/name.ts";
import type { TarSink } from "#tar/reader.ts";
import { treeError } from "./tree_error.ts";
import { openPath, type PathRoot } from "./tree_path.ts";
import { placeXattr } from "./xattr_place.ts";

/** How entries become files. */
export interface ExtractOptions {
  /** From where their directories are resolved, and what stands in front of their names there. */
  readonly root: PathRoot;
  readonly prefix: string;
  /** Entries' names in the tree. */
  readonly rename: (path: ByteString) => ByteString;
  /** Whose they are: as the archive says, or of the process that makes them. */
  readonly owners: "kept" | "own";
  /** What may take effect on the host is left out: set-id bits, capabilities. */
  readonly isInert: boolean;
  /** A path on the file system that is written to, for messages. */
  readonly place: string;
}

/** Beneath one directory, through no link: for archives that name every directory of theirs. */
export function beneath(dir: Fd): PathRoot {
  return { root: dir, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
}

/** What a directory gets when everything in it is there. */
type LateDirectory = { readonly entry: TarEntry; readonly key: string };

/** So often a name is made room for: somebody may be making it again. */
const ATTEMPTS = 100;

export class ExtractTree implements TarSink {
  readonly warnings = new Set<string>();
  readonly #options: ExtractOptions;
  readonly #late = new Map<ByteString, LateDirectory>();
  /** The directory that was used last. */
  #parent: { readonly path: ByteString; readonly fd: Fd } | undefined;
  /** The file that is being written, and where it is to be. */
  #file:
    | { readonly fd: Fd; readonly isNamed: boolean; readonly path: ByteString; readonly entry: TarEntry }
    | undefined;
  #sizeBytes = 0;

  constructor(options: ExtractOptions) {
    this.#options = options;
  }

  /** The bytes of the files so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  entry(entry: TarEntry): void {
    const clean = cleanPath(entry.path);
    if (clean === undefined) throw refused(entry.path, "its path leaves the directory that it is copied to");
    const path = this.#options.rename(clean);
    if (path === "") {
      // the directory that is there keeps its mode and owner, as with docker
      if (entry.kind === "directory") return;
      throw refused(entry.path, "only a directory can be the root of what is copied");
    }
    switch (entry.kind) {
      case "file":
        return this.#beginFile(path, entry);
      case "directory":
        return this.#makeDirectory(path, entry);
      case "symlink":
        this.#make(path, entry, "symlink", (dir, name) => makeSymlink(entry.linkPath, dir, name));
        return this.#describeName(path, entry);
      case "fifo":
        this.#make(path, entry, "mknod", (dir, name) => makeNode(dir, name, S_IFIFO | (entry.mode & 0o777)));
        return this.#describeName(path, entry);
      case "hardlink":
        return this.#makeHardLink(path, entry);
      case "char":
      case "block":
        this.warnings.add(`device nodes such as ${quote(path)} are left out: only root could make them`);
        return;
      default:
        throw new Error(`Unknown entry ${entry.kind satisfies never}`);
    }
  }

  data(bytes: Uint8Array, offsetBytes: number): void {
    if (this.#file === undefined) return;
    const result = writeAt(this.#file.fd, bytes, offsetBytes);
    if (result < 0) throw this.#error("write", this.#file.path, -result);
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    const { fd, path, entry, isNamed } = file;
    if (entry.sparse !== undefined) this.#expect(setSize(fd, entry.sizeBytes), "ftruncate", path);
    this.#describe(fd, entry, path);
    if (!isNamed) this.#make(path, entry, "link", (dir, name) => nameFile(fd, dir, name));
    this.#file = undefined;
    close(fd);
    this.#sizeBytes += entry.sizeBytes;
  }

  /** When the archive is complete: modes and times of directories, deepest first. */
  finish(): void {
    const paths = [...this.#late.keys()].sort((a, b) => b.length - a.length);
    for (const path of paths) this.#finishDirectory(path, this.#late.get(path)!);
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) close(this.#file.fd);
    this.#file = undefined;
    this.#forgetParent();
  }

  #beginFile(path: ByteString, entry: TarEntry): void {
    const { dir } = this.#openParent(path);
    let fd = openUnnamed(dir, 0o600);
    const isNamed = fd === -EOPNOTSUPP || fd === -EISDIR || fd === -EINVAL || fd === -ENOENT;
    if (isNamed) {
      this.#make(path, entry, "open", (at, name) => {
        return fd = openName(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      });
    } else {
      // what is in the way is told before all of the content has come
      this.#checkRoom(path, entry);
      if (fd < 0) throw this.#error("open", path, -fd);
    }
    this.#file = { fd: fd as Fd, isNamed, path, entry };
  }

  #makeDirectory(path: ByteString, entry: TarEntry): void {
    const { dir, name } = this.#make(path, entry, "mkdir", (at, base) => {
      const result = makeDirectory(at, base, 0o700);
      if (result !== -EEXIST) return result;
      const there = statName(at, base);
      // one on another merges
      return typeof there !== "number" && (there.mode & S_IFMT) === S_IFDIR ? 0 : -EEXIST;
    });
    const stat = statName(dir, name);
    if (typeof stat === "number") throw this.#error("stat", path, -stat);
    this.#late.set(path, { entry, key: stat.key });
  }

  #makeHardLink(path: ByteString, entry: TarEntry): void {
    const clean = cleanPath(entry.linkPath);
    const target = clean === undefined ? undefined : this.#options.rename(clean);
    if (target === undefined || target === "") throw refused(entry.path, "the target of its hard link leaves the copy");
    const from = this.#open(parentOf(target));
    if (from < 0) throw this.#error("open", target, -from);
    try {
      this.#make(path, entry, "link", (dir, name) => {
        const result = makeHardLink(from as Fd, nameOf(target), dir, name);
        if (result !== -EEXIST) return result;
        const [there, wanted] = [statName(dir, name), statName(from as Fd, nameOf(target))];
        return typeof there !== "number" && typeof wanted !== "number" && there.key === wanted.key ? 0 : result;
      });
    } finally {
      close(from as Fd);
    }
  }

  /** Makes a name, and makes room for it where something is that it may replace. */
  #make(
    path: ByteString,
    entry: TarEntry,
    callName: string,
    make: (dir: Fd, name: string) => number,
  ): { dir: Fd; name: string } {
    for (let attempt = 0;; attempt++) {
      const { dir, name } = this.#openParent(path);
      const result = make(dir, name);
      if (result >= 0) return { dir, name };
      if (result !== -EEXIST || attempt >= ATTEMPTS) throw this.#error(callName, path, -result);
      this.#checkRoom(path, entry);
      const removed = removeName(dir, name);
      if (removed < 0 && removed !== -ENOENT) throw this.#error("unlink", path, -removed);
    }
  }

  /** A file does not replace a directory, nor the other way round: docker's rule. */
  #checkRoom(path: ByteString, entry: TarEntry): void {
    const { dir, name } = this.#openParent(path);
    const there = statName(dir, name);
    if (typeof there === "number") return;
    const isDirectory = (there.mode & S_IFMT) === S_IFDIR;
    if (isDirectory === (entry.kind === "directory")) return;
    throw new DugoutError(
      "COPY_CONFLICT",
      isDirectory
        ? `Cannot overwrite the directory ${quote(path)} with something that is none`
        : `Cannot overwrite ${quote(path)}, which is no directory, with a directory`,
      { exitCode: 1 },
    );
  }

  #openParent(path: ByteString): { dir: Fd; name: string } {
    const parent = parentOf(path);
    const name = nameOf(path);
    if (this.#parent?.path === parent) return { dir: this.#parent.fd, name };
    const fd = this.#openOrMake(parent);
    this.#forgetParent();
    this.#parent = { path: parent, fd };
    return { dir: fd, name };
  }

  #forgetParent(): void {
    if (this.#parent !== undefined) close(this.#parent.fd);
    this.#parent = undefined;
  }

  #open(directory: ByteString): number {
    return openPath(this.#options.root, (this.#options.prefix + directory || ".") as ByteString, O_PATH | O_DIRECTORY);
  }

  /** Opens a directory; what no entry has named of it is made, 0755, as docker does. */
  #openOrMake(directory: ByteString): Fd {
    const missing: ByteString[] = [];
    let at = directory;
    let fd = this.#open(at);
    while (fd === -ENOENT && at !== "") {
      missing.push(at);
      at = parentOf(at);
      fd = this.#open(at);
    }
    if (fd < 0) throw this.#error("open", directory, -fd);
    for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
      const made = makeDirectory(fd as Fd, nameOf(next), 0o755);
      close(fd as Fd);
      if (made < 0 && made !== -EEXIST) throw this.#error("mkdir", next, -made);
      fd = this.#open(next);
      if (fd < 0) throw this.#error("open", next, -fd);
    }
    return fd as Fd;
  }

  #finishDirectory(path: ByteString, { entry, key }: LateDirectory): void {
    const whole = (this.#options.prefix + path) as ByteString;
    const fd = openPath(this.#options.root, whole, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    // it has given way to something else since
    if (fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP) return;
    if (fd < 0) throw this.#error("open", path, -fd);
    try {
      const stat = statName(fd as Fd, "");
      if (typeof stat === "number" || stat.key !== key) return;
      this.#describe(fd as Fd, entry, path);
    } finally {
      close(fd as Fd);
    }
  }

  /** Owner, attributes, mode, ACLs, time: in this order, since each may undo the one behind it. */
  #describe(fd: Fd, entry: TarEntry, path: ByteString): void {
    this.#setOwner(fd, "", entry, path);
    this.#setXattrs(fd, entry, path, false);
    this.#expect(setMode(fd, this.#modeOf(entry)), "fchmod", path);
    this.#setXattrs(fd, entry, path, true);
    this.#expect(setMtime(fd, "", entry.mtimeSeconds, entry.mtimeNanoseconds), "utimensat", path);
  }

  /** A symlink or a fifo, which cannot be opened. */
  #describeName(path: ByteString, entry: TarEntry): void {
    const { dir, name } = this.#openParent(path);
    this.#setOwner(dir, name, entry, path);
    this.#expect(setMtime(dir, name, entry.mtimeSeconds, entry.mtimeNanoseconds), "utimensat", path);
  }

  #setOwner(dir: Fd, name: string, { uid, gid }: TarEntry, path: ByteString): void {
    if (this.#options.owners === "own") return;
    const result = setOwner(dir, name, uid, gid);
    if (result >= 0) return;
    if (result !== -EINVAL && result !== -EPERM) throw this.#error("fchownat", path, -result);
    this.warnings.add(`the owner ${uid}:${gid} of ${quote(path)} is outside of the ids that you have: root's it is`);
    setOwner(dir, name, 0, 0);
  }

  #setXattrs(fd: Fd, entry: TarEntry, path: ByteString, isAcls: boolean): void {
    for (const [name, value] of entry.xattrs) {
      if (name.startsWith("system.") !== isAcls) continue;
      if (placeXattr(name, entry.kind, "mapped") === "record") continue;
      if (!name.startsWith("user.") && (this.#options.isInert || this.#options.owners === "own")) continue;
      if (setXattr(fd, name, value) < 0) {
        this.warnings.add(`the attribute ${quote(name)} of ${quote(path)} cannot be had here`);
      }
    }
  }

  #modeOf({ mode }: TarEntry): number {
    return this.#options.isInert ? mode & 0o1777 : mode;
  }

  #expect(result: number, callName: string, path: ByteString): void {
    if (result < 0) throw this.#error(callName, path, -result);
  }

  #error(callName: string, path: ByteString, errno: number): Error {
    if (errno === EROFS) {
      return new DugoutError("READ_ONLY", `Cannot copy ${quote(path)}: the file system there is read-only`, {
        exitCode: 1,
        hint: "of a container: its root (--read-only) or the volume (:ro) was asked to be so",
      });
    }
    if (errno === ELOOP || errno === EXDEV || errno === ENOTDIR) {
      return refused(path, "something that is no directory stands in the way, or a link that is not followed");
    }
    return treeError(callName, path, errno, this.#options.place);
  }
}

function refused(path: ByteString, problem: string): DugoutError {
  return new DugoutError("COPY_REFUSED", `Cannot copy ${quote(path)}: ${problem}`, { exitCode: 1 });
}
