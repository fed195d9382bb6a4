/**
 * A layer's entries become files.
 *
 * What holds whatever the archive says: names are resolved beneath the layer's root by descriptors (directory_cache.ts);
 * files are made with O_EXCL and O_NOFOLLOW, and what stood there is unlinked first; metadata goes to the descriptor that
 * was made, or to a name with NOFOLLOW; directories are 0700 until the end, when they get their modes and times, deepest
 * first; whiteouts are applied at the end too, and never touch what the layer itself has brought, wherever they stood.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EEXIST, EINVAL, ELOOP, ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import {
  close,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
} from "#linux/file.ts";
import { setModeOfPathFd } from "#linux/path_fd.ts";
import { statName } from "#linux/stat.ts";
import {
  makeDirectory,
  makeHardLink,
  makeNode,
  makeSymlink,
  openName,
  openResolved,
  removeName,
  setMode,
  setMtime,
  setOwner,
  setSize,
  startWriteback,
  writeAt,
} from "#linux/tree.ts";
import { setXattr } from "#linux/xattr.ts";
import { type ByteString, quote } from "#tar/bytes.ts";
import type { TarEntry, TarKind } from "#tar/entry.ts";
import { cleanPath } from "#tar/name.ts";
import type { TarSink } from "#tar/reader.ts";
import { DirectoryCache, RESOLVE_STRICT } from "./directory_cache.ts";
import { LayerError } from "./layer_error.ts";
import type { LayerLimits } from "./layer_limits.ts";
import { type PathRecord, spellValue, spellXattrName } from "./record.ts";
import { removeTree } from "./remove_tree.ts";
import { treeError } from "./tree_error.ts";
import { OPAQUE_VALUE, OPAQUE_XATTR, readWhiteout } from "./whiteout.ts";
import { type Ownership, placeXattr } from "./xattr_place.ts";

/** What decides how entries are made. */
export type LayerTreeOptions = {
  readonly ownership: Ownership;
  readonly limits: LayerLimits;
  /** What this process makes is owned by these ids, as seen inside of its user namespace. */
  readonly own: { readonly uid: number; readonly gid: number };
  /** The process's umask: files that it narrows get their mode by a call of its own. */
  readonly umask: number;
  /** A path on the file system that is written to, for messages. */
  readonly place: string;
};

/** What came of a layer, beside the files. */
export type LayerTreeResult = {
  readonly sizeBytes: number;
  readonly entries: number;
  readonly hasRoot: boolean;
  readonly whiteouts: ByteString[];
  readonly opaques: ByteString[];
  readonly detached: ByteString[];
  readonly madeUp: ByteString[];
  readonly paths: Map<ByteString, PathRecord>;
  readonly warnings: string[];
};

/** Files of this size and more are sent to the disk as soon as they are written, so that the final sync is short. */
const WRITEBACK_BYTES = 1 << 20;

/** What a directory gets when everything in it is there. */
type DirectoryMeta = {
  readonly mode: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly uid: number;
  readonly gid: number;
  readonly xattrs: TarEntry["xattrs"];
  /** File system and inode of the directory that was made; undefined for the root, and for made-up ones. */
  readonly key: string | undefined;
};

/** A name that was made. */
type Place = { readonly dir: Fd; readonly name: string; readonly real: ByteString };

/** Something odd that happened to several entries: the first is named. */
type Oddity = { count: number; first: string };

export class LayerTree implements TarSink {
  readonly #root: Fd;
  readonly #options: LayerTreeOptions;
  readonly #cache: DirectoryCache;
  readonly #directories = new Map<ByteString, DirectoryMeta>();
  readonly #madeUp = new Set<ByteString>();
  readonly #whiteouts = new Set<ByteString>();
  readonly #opaques = new Set<ByteString>();
  readonly #paths = new Map<ByteString, PathRecord>();
  readonly #oddities = new Map<string, Oddity>();
  #entries = 0;
  #sizeBytes = 0;
  #hasRemovedTrees = false;

  /** The file that is being written. */
  #fd: Fd | undefined;
  #entry: TarEntry | undefined;
  #real: ByteString = "" as ByteString;

  /** @param root The empty directory of the layer; stays the caller's. */
  constructor(root: Fd, options: LayerTreeOptions) {
    this.#root = root;
    this.#options = options;
    this.#cache = new DirectoryCache(root, (real) => this.#noteMadeUp(real));
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#checkLimits(entry);
    const path = cleanPath(entry.path);
    if (path === undefined) throw this.#refuse("its path leaves the layer");
    if (path === "") return this.#takeRoot(entry);
    const meaning = readWhiteout(path);
    switch (meaning.kind) {
      case "none":
        return this.#makeEntry(path, entry);
      case "whiteout":
        this.#whiteouts.add(meaning.path);
        return;
      case "opaque":
        this.#opaques.add(meaning.directory);
        return;
      case "aufs":
        return;
      case "refused":
        throw this.#refuse(meaning.problem);
      default:
        throw new Error(`Unknown whiteout ${meaning satisfies never}`);
    }
  }

  data(bytes: Uint8Array, offsetBytes: number): void {
    // a whiteout with content, or a device's stand-in: nobody wants it
    if (this.#fd === undefined) return;
    const result = writeAt(this.#fd, bytes, offsetBytes);
    if (result < 0) throw treeError("write", this.#real, -result, this.#options.place);
  }

  end(): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    const entry = this.#entry!;
    // the hole at the end of a sparse file
    if (entry.sparse !== undefined) this.#expect(setSize(fd, entry.sizeBytes), "ftruncate");
    this.#describeFile(fd, entry);
    if (entry.sizeBytes >= WRITEBACK_BYTES) startWriteback(fd);
    this.#fd = undefined;
    close(fd);
  }

  /** When the archive is complete: whiteouts, then directories. */
  finish(): LayerTreeResult {
    const whiteoutsOffDisk: ByteString[] = [];
    const detached: ByteString[] = [];
    for (const path of this.#whiteouts) this.#applyWhiteout(path, whiteoutsOffDisk, detached);
    const opaques = this.#applyOpaques();
    const hasRoot = this.#directories.has("" as ByteString);
    if (!hasRoot) this.#expect(setMode(this.#root, 0o755), "fchmod");
    this.#finishDirectories();
    this.#dropStaleRecords();
    return {
      sizeBytes: this.#sizeBytes,
      entries: this.#entries,
      hasRoot,
      whiteouts: whiteoutsOffDisk,
      opaques,
      detached,
      madeUp: [...this.#madeUp],
      paths: this.#paths,
      warnings: [...this.#oddities].map(([what, { count, first }]) =>
        count === 1 ? `${first}: ${what}` : `${first} and ${count - 1} more: ${what}`
      ),
    };
  }

  /** Closes what is open; the tree is the caller's to remove when it was not finished. */
  [Symbol.dispose](): void {
    if (this.#fd !== undefined) close(this.#fd);
    this.#fd = undefined;
    this.#cache[Symbol.dispose]();
  }

  #checkLimits(entry: TarEntry): void {
    const { limits } = this.#options;
    if (++this.#entries > limits.maxEntries) {
      throw new LayerError("LAYER_LIMIT", `it has more than ${limits.maxEntries} entries`);
    }
    if (entry.sizeBytes > limits.maxFileBytes) {
      throw new LayerError(
        "LAYER_LIMIT",
        `entry ${quote(entry.path)} has ${entry.sizeBytes} bytes, more than ${limits.maxFileBytes}`,
      );
    }
    this.#sizeBytes += entry.sizeBytes;
    if (this.#sizeBytes > limits.maxTotalBytes) {
      throw new LayerError("LAYER_LIMIT", `its files have more than ${limits.maxTotalBytes} bytes together`);
    }
  }

  #refuse(problem: string): LayerError {
    return new LayerError("LAYER_ENTRY", `entry ${quote(this.#entry!.path)}: ${problem}`);
  }

  #expect(result: number, callName: string): number {
    if (result < 0) throw treeError(callName, this.#real || this.#entry!.path, -result, this.#options.place);
    return result;
  }

  #note(what: string, path: ByteString): void {
    const known = this.#oddities.get(what);
    if (known !== undefined) known.count++;
    else this.#oddities.set(what, { count: 1, first: quote(path) });
  }

  #record(real: ByteString): PathRecord {
    let record = this.#paths.get(real);
    if (record === undefined) this.#paths.set(real, record = {});
    return record;
  }

  /** `.`, `/`, `./` and what cleans to nothing: the root's own mode and owner, and nothing else. */
  #takeRoot(entry: TarEntry): void {
    if (entry.kind !== "directory") throw this.#refuse("only a directory can be the layer's root");
    this.#noteDirectory("" as ByteString, entry, undefined);
  }

  #makeEntry(path: ByteString, entry: TarEntry): void {
    switch (entry.kind) {
      case "file":
        return this.#makeFile(path, entry);
      case "directory":
        return this.#makeDirectory(path, entry);
      case "hardlink":
        return this.#makeHardLink(path, entry);
      case "symlink": {
        const place = this.#make(path, "symlink", (dir, name) => makeSymlink(entry.linkPath, dir, name));
        return this.#describeName(place, entry);
      }
      case "fifo": {
        const mode = entry.mode & 0o777;
        const place = this.#make(path, "mknod", (dir, name) => makeNode(dir, name, S_IFIFO | mode));
        if ((mode & this.#options.umask) !== 0) this.#setModeOfName(place, mode);
        return this.#describeName(place, entry);
      }
      case "char":
      case "block":
        return this.#makeStandIn(path, entry, entry.kind);
      default:
        throw new Error(`Unknown entry ${entry.kind satisfies never}`);
    }
  }

  /**
   * Makes a name, and makes room for it once where something is already.
   * @param make Returns minus errno; EEXIST asks for room.
   * @param explain The error for an errno, where there is more to say than the call's name.
   */
  #make(
    path: ByteString,
    callName: string,
    make: (dir: Fd, name: string) => number,
    explain?: (errno: number) => Error | undefined,
  ): Place {
    const { parent, name } = splitPath(path);
    let dir = this.#cache.open(parent, "make");
    let real = joinPath(dir.real, name);
    this.#real = real;
    let result = make(dir.fd, name);
    if (result === -EEXIST) {
      this.#makeRoom(dir.fd, name, real);
      dir = this.#cache.open(parent, "make");
      real = joinPath(dir.real, name);
      result = make(dir.fd, name);
    }
    if (result < 0) throw explain?.(-result) ?? treeError(callName, real, -result, this.#options.place);
    if (this.#paths.size > 0) this.#paths.delete(real);
    return { dir: dir.fd, name, real };
  }

  /** Removes what stands where a later entry wants to be: the later one wins (C-004, C-007). */
  #makeRoom(dir: Fd, name: string, real: ByteString): void {
    const stat = statName(dir, name);
    if (typeof stat === "number") throw treeError("stat", real, -stat);
    const type = stat.mode & S_IFMT;
    if (type === S_IFDIR) {
      removeTree(dir, name);
      this.#hasRemovedTrees = true;
      this.#directories.delete(real);
      this.#madeUp.delete(real);
    } else this.#expect(removeName(dir, name), "unlink");
    // descriptors of what was behind it lead nowhere, or elsewhere, now
    if (type === S_IFDIR || type === S_IFLNK) this.#cache.clear();
  }

  #makeFile(path: ByteString, entry: TarEntry): void {
    // an attribute can be set only on a file that its owner may write
    const mode = entry.xattrs.size > 0 ? 0o600 : entry.mode & 0o777;
    let fd = -1;
    const place = this.#make(path, "open", (dir, name) => {
      return fd = openName(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    });
    this.#fd = fd as Fd;
    this.#real = place.real;
  }

  /** An empty file, where a plain user can make no device: the record has what it is (C-013). */
  #makeStandIn(path: ByteString, entry: TarEntry, kind: "char" | "block"): void {
    this.#makeFile(path, entry);
    this.#record(this.#real).device = { kind, major: entry.deviceMajor, minor: entry.deviceMinor };
    this.#note("an empty file stands in for the device node, which only root could make", this.#real);
    const fd = this.#fd!;
    this.#describeFile(fd, entry);
    this.#fd = undefined;
    close(fd);
  }

  #makeDirectory(path: ByteString, entry: TarEntry): void {
    let isThere = false;
    const place = this.#make(path, "mkdir", (dir, name) => {
      const result = makeDirectory(dir, name, 0o700);
      if (result !== -EEXIST) return result;
      const stat = statName(dir, name);
      // a directory on a directory merges: its content stays, its mode and times are those of the later entry
      isThere = typeof stat !== "number" && (stat.mode & S_IFMT) === S_IFDIR;
      return isThere ? 0 : -EEXIST;
    });
    const stat = statName(place.dir, place.name);
    if (typeof stat === "number") throw treeError("stat", place.real, -stat);
    this.#madeUp.delete(place.real);
    this.#noteDirectory(place.real, entry, stat.key);
  }

  #noteDirectory(real: ByteString, entry: TarEntry, key: string | undefined): void {
    const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs } = entry;
    this.#directories.set(real, { mode, uid, gid, mtimeSeconds, mtimeNanoseconds, xattrs, key });
  }

  /** A directory that no entry names: as docker makes them, until the layers below say more (see settle.ts). */
  #noteMadeUp(real: ByteString): void {
    const { mtimeSeconds, mtimeNanoseconds } = this.#entry!;
    const xattrs: TarEntry["xattrs"] = new Map();
    this.#directories.set(real, {
      mode: 0o755,
      uid: 0,
      gid: 0,
      mtimeSeconds,
      mtimeNanoseconds,
      xattrs,
      key: undefined,
    });
    this.#madeUp.add(real);
    this.#paths.delete(real);
  }

  /** The target is a path from the layer's root (C-003), and has to be in this layer. */
  #makeHardLink(path: ByteString, entry: TarEntry): void {
    const target = cleanPath(entry.linkPath);
    if (target === undefined || target === "") throw this.#refuse("the target of its hard link leaves the layer");
    const { parent, name: targetName } = splitPath(target);
    let record: PathRecord | undefined;
    const link = (dir: Fd, name: string): number => {
      const from = this.#cache.open(parent, "find");
      if (typeof from === "number") return from;
      record = this.#paths.get(joinPath(from.real, targetName));
      const result = makeHardLink(from.fd, targetName, dir, name);
      if (result !== -EEXIST) return result;
      const old = statName(dir, name);
      const wanted = statName(from.fd, targetName);
      if (typeof wanted === "number") return wanted;
      // a link to itself, or told twice
      return typeof old !== "number" && old.key === wanted.key ? 0 : -EEXIST;
    };
    const place = this.#make(path, "link", link, (errno) => {
      if (errno !== ENOENT && errno !== ENOTDIR) return undefined;
      return this.#refuse(`it is a hard link to ${quote(target)}, which this layer does not have`);
    });
    if (record !== undefined) this.#paths.set(place.real, record);
  }

  /** Owner, attributes, mode and time of the open file: in this order, since each may undo the one behind it. */
  #describeFile(fd: Fd, entry: TarEntry): void {
    this.#setOwner(fd, "", entry);
    this.#setXattrs(fd, entry, "first");
    const mode = this.#modeOnDisk(entry.mode);
    if ((mode & 0o7000) !== 0 || (mode & this.#options.umask) !== 0 || entry.xattrs.size > 0) {
      this.#expect(setMode(fd, mode), "fchmod");
    }
    this.#setXattrs(fd, entry, "afterMode");
    this.#expect(setMtime(fd, "", entry.mtimeSeconds, entry.mtimeNanoseconds), "utimensat");
  }

  /** The same for a symlink or a fifo, which cannot be opened. */
  #describeName(place: Place, entry: TarEntry): void {
    this.#setOwner(place.dir, place.name, entry);
    for (const [name, value] of entry.xattrs) this.#recordXattr(name, value);
    this.#expect(setMtime(place.dir, place.name, entry.mtimeSeconds, entry.mtimeNanoseconds), "utimensat");
  }

  #setModeOfName(place: Place, mode: number): void {
    const fd = this.#expect(openName(place.dir, place.name, O_PATH | O_NOFOLLOW), "open") as Fd;
    try {
      this.#expect(setModeOfPathFd(fd, mode), "fchmodat2");
    } finally {
      close(fd);
    }
  }

  #setOwner(dir: Fd, name: string, entry: { uid: number; gid: number }): void {
    const { uid, gid } = entry;
    const { ownership, own } = this.#options;
    if (ownership === "single") {
      // inside, every file is root's
      if (uid !== 0) this.#record(this.#real).uid = uid;
      if (gid !== 0) this.#record(this.#real).gid = gid;
      return;
    }
    if (uid === own.uid && gid === own.gid) return;
    const result = setOwner(dir, name, uid, gid);
    if (result >= 0) return;
    if (result !== -EINVAL) this.#expect(result, "fchownat");
    // EINVAL: an id that the user namespace does not map (C-011). Root's it is then, as far as ids are missing.
    const record = this.#record(this.#real);
    if (setOwner(dir, name, uid, NO_CHANGE) < 0) {
      record.uid = uid;
      this.#note(`user ${uid} is outside of the ids that this user has; it is recorded`, this.#real);
      setOwner(dir, name, 0, NO_CHANGE);
    }
    if (setOwner(dir, name, NO_CHANGE, gid) < 0) {
      record.gid = gid;
      this.#note(`group ${gid} is outside of the ids that this user has; it is recorded`, this.#real);
      setOwner(dir, name, NO_CHANGE, 0);
    }
  }

  /** In single-id mode no file of an image has set-id bits on disk: it would run as the user for anybody. */
  #modeOnDisk(mode: number): number {
    if (this.#options.ownership === "mapped" || (mode & 0o6000) === 0) return mode;
    this.#record(this.#real).mode = mode;
    return mode & ~0o6000;
  }

  /** @param when ACLs come after the mode, which would change their mask. */
  #setXattrs(fd: Fd, entry: { xattrs: TarEntry["xattrs"]; kind: TarKind }, when: "first" | "afterMode"): void {
    for (const [name, value] of entry.xattrs) {
      if (name.startsWith("system.") !== (when === "afterMode")) continue;
      if (placeXattr(name, entry.kind, this.#options.ownership) === "record") this.#recordXattr(name, value);
      else if (setXattr(fd, name, value) < 0) {
        // no attributes here (NFS), no room for them (ext4 has 4 KiB), ids that are not mapped
        this.#recordXattr(name, value);
        this.#note(`the file system does not take the attribute ${quote(name)}; it is recorded`, this.#real);
      }
    }
  }

  #recordXattr(name: ByteString, value: Uint8Array): void {
    const record = this.#record(this.#real);
    record.xattrs = { ...record.xattrs, [spellXattrName(name)]: spellValue(value) };
  }

  #applyWhiteout(path: ByteString, offDisk: ByteString[], detached: ByteString[]): void {
    const { parent, name } = splitPath(path);
    const dir = this.#cache.open(parent, "find");
    // a directory that only lower layers have is not made up for it (C-006)
    if (dir === -ENOENT) return void detached.push(path);
    // a file, or a link: what the lower layers have there is out of sight anyway (C-005)
    if (typeof dir === "number" || dir.real !== parent) return;
    const stat = statName(dir.fd, name);
    if (typeof stat !== "number") {
      // The layer brings the name itself. A directory then shows this layer's children only (C-017).
      if ((stat.mode & S_IFMT) === S_IFDIR) this.#opaques.add(path);
      return;
    }
    if (stat !== -ENOENT) throw treeError("stat", path, -stat);
    const result = makeNode(dir.fd, name, S_IFCHR, 0);
    if (result < 0) offDisk.push(path);
  }

  #applyOpaques(): ByteString[] {
    const recorded: ByteString[] = [];
    for (const path of this.#opaques) {
      if (path === "") { // overlayfs does not look for the attribute on a layer's root
        recorded.push(path);
        continue;
      }
      let fd = openResolved(this.#root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
      if (fd === -ENOENT) {
        this.#cache.open(path, "make");
        fd = openResolved(this.#root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
      }
      if (fd === -ENOTDIR || fd === -ELOOP) continue;
      if (fd < 0) throw treeError("openat2", path, -fd);
      if (setXattr(fd as Fd, OPAQUE_XATTR, OPAQUE_VALUE) < 0) recorded.push(path);
      close(fd as Fd);
    }
    return recorded;
  }

  /** Deepest first, so that no directory is closed before what lies in it, as a path is longer than its parents' paths. */
  #finishDirectories(): void {
    const paths = [...this.#directories.keys()].sort((a, b) => b.length - a.length);
    for (const path of paths) {
      const meta = this.#directories.get(path)!;
      const fd = path === ""
        ? openName(this.#root, ".", O_RDONLY | O_DIRECTORY)
        : openResolved(this.#root, path, O_RDONLY | O_DIRECTORY, RESOLVE_STRICT);
      // it has given way to something else since (C-017)
      if (fd === -ENOENT || fd === -ENOTDIR || fd === -ELOOP) continue;
      if (fd < 0) throw treeError("openat2", path, -fd);
      try {
        this.#finishDirectory(fd as Fd, path, meta);
      } finally {
        close(fd as Fd);
      }
    }
  }

  #finishDirectory(fd: Fd, path: ByteString, meta: DirectoryMeta): void {
    if (meta.key !== undefined) {
      const stat = statName(fd, "");
      if (typeof stat === "number" || stat.key !== meta.key) return;
    }
    this.#real = path;
    this.#setOwner(fd, "", meta);
    this.#setXattrs(fd, { xattrs: meta.xattrs, kind: "directory" }, "first");
    this.#expect(setMode(fd, this.#modeOnDisk(meta.mode)), "fchmod");
    this.#setXattrs(fd, { xattrs: meta.xattrs, kind: "directory" }, "afterMode");
    this.#expect(setMtime(fd, "", meta.mtimeSeconds, meta.mtimeNanoseconds), "utimensat");
  }

  /** Records of what went away with a directory that was replaced. */
  #dropStaleRecords(): void {
    if (!this.#hasRemovedTrees) return;
    for (const path of this.#paths.keys()) {
      if (path === "") continue;
      const { parent, name } = splitPath(path);
      const dir = this.#cache.open(parent, "find");
      if (typeof dir === "number" || dir.real !== parent || typeof statName(dir.fd, name) === "number") {
        this.#paths.delete(path);
      }
    }
  }
}

/** To fchownat(2): this one stays as it is. */
const NO_CHANGE = 0xffff_ffff;

function joinPath(directory: ByteString, name: string): ByteString {
  return (directory === "" ? name : `${directory}/${name}`) as ByteString;
}

function splitPath(path: ByteString): { parent: ByteString; name: string } {
  const slash = path.lastIndexOf("/");
  return { parent: (slash < 0 ? "" : path.slice(0, slash)) as ByteString, name: path.slice(slash + 1) };
}
