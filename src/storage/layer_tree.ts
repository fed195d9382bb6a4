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
import { EEXIST, ENOENT, ENOTDIR } from "#linux/errno_values.ts";
import { close, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import {
  makeDirectory,
  makeHardLink,
  makeNode,
  makeSymlink,
  openName,
  removeName,
  setMode,
  setSize,
  startWriteback,
  writeAt,
} from "#linux/tree.ts";
import { type ByteString, quote } from "#tar/bytes.ts";
import type { TarEntry } from "#tar/entry.ts";
import { cleanPath, joinName, nameOf, parentOf } from "#tar/name.ts";
import type { TarSink } from "#tar/reader.ts";
import { applyWhiteouts } from "./apply_whiteouts.ts";
import { DirectoryCache } from "./directory_cache.ts";
import { LayerDirectories } from "./layer_directories.ts";
import { LayerError } from "./layer_error.ts";
import { type LayerLimits, limitError } from "./layer_limits.ts";
import { LayerMetadata, type MetadataTarget } from "./layer_metadata.ts";
import { LayerNotes } from "./layer_notes.ts";
import type { PathRecord } from "./record.ts";
import { removeTree } from "./remove_tree.ts";
import { treeError } from "./tree_error.ts";
import { readWhiteout } from "./whiteout.ts";

/** What decides how entries are made. */
export type LayerTreeOptions = MetadataTarget & { readonly limits: LayerLimits };

/** What came of a layer, beside the files. */
export type LayerTreeResult = {
  readonly sizeBytes: number;
  readonly entries: number;
  readonly hasRoot: boolean;
  readonly whiteouts: ByteString[];
  readonly opaques: ByteString[];
  readonly detached: ByteString[];
  readonly madeUp: ByteString[];
  readonly paths: ReadonlyMap<ByteString, PathRecord>;
  readonly warnings: string[];
};

/** Files of this size and more are sent to the disk as soon as they are written, so that the final sync is short. */
const WRITEBACK_BYTES = 1 << 20;

/** A name that was made. */
type Place = { readonly dir: Fd; readonly name: string; readonly real: ByteString };

export class LayerTree implements TarSink {
  readonly #root: Fd;
  readonly #options: LayerTreeOptions;
  readonly #cache: DirectoryCache;
  readonly #notes = new LayerNotes();
  readonly #metadata: LayerMetadata;
  readonly #directories = new LayerDirectories();
  readonly #whiteouts = new Set<ByteString>();
  readonly #opaques = new Set<ByteString>();
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
    this.#metadata = new LayerMetadata(options, this.#notes);
    this.#cache = new DirectoryCache(root, (real) => {
      this.#directories.noteMadeUp(real, this.#entry!);
      this.#notes.forget(real);
    });
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
    this.#metadata.describeFile(fd, this.#real, entry);
    if (entry.sizeBytes >= WRITEBACK_BYTES) startWriteback(fd);
    this.#fd = undefined;
    close(fd);
  }

  /** When the archive is complete: whiteouts, then directories. */
  finish(): LayerTreeResult {
    const unapplied = applyWhiteouts(this.#root, this.#cache, this.#whiteouts, this.#opaques);
    const hasRoot = this.#directories.has("" as ByteString);
    if (!hasRoot) this.#expect(setMode(this.#root, 0o755), "fchmod");
    this.#directories.finish(this.#root, this.#metadata);
    this.#dropStaleRecords();
    return {
      ...unapplied,
      sizeBytes: this.#sizeBytes,
      entries: this.#entries,
      hasRoot,
      madeUp: this.#directories.madeUp,
      paths: this.#notes.paths,
      warnings: this.#notes.warnings(),
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
      throw limitError("maxEntries", `it has more than ${limits.maxEntries} entries`);
    }
    if (entry.sizeBytes > limits.maxFileBytes) {
      throw limitError(
        "maxFileBytes",
        `entry ${quote(entry.path)} has ${entry.sizeBytes} bytes, more than ${limits.maxFileBytes}`,
      );
    }
    this.#sizeBytes += entry.sizeBytes;
    if (this.#sizeBytes > limits.maxTotalBytes) {
      throw limitError("maxTotalBytes", `its files have more than ${limits.maxTotalBytes} bytes together`);
    }
  }

  #refuse(problem: string): LayerError {
    return new LayerError("LAYER_ENTRY", `entry ${quote(this.#entry!.path)}: ${problem}`);
  }

  #expect(result: number, callName: string): number {
    if (result < 0) throw treeError(callName, this.#real || this.#entry!.path, -result, this.#options.place);
    return result;
  }

  /** `.`, `/`, `./` and what cleans to nothing: the root's own mode and owner, and nothing else. */
  #takeRoot(entry: TarEntry): void {
    if (entry.kind !== "directory") throw this.#refuse("only a directory can be the layer's root");
    this.#directories.note("" as ByteString, entry);
  }

  #makeEntry(path: ByteString, entry: TarEntry): void {
    switch (entry.kind) {
      case "file":
        return this.#makeFile(path, entry);
      case "directory":
        return this.#makeDirectory(path, entry);
      case "hardlink":
        return this.#makeHardLink(path, entry);
      case "symlink":
        return this.#makeName(path, entry, "symlink", (dir, name) => makeSymlink(entry.linkPath, dir, name));
      case "fifo":
        return this.#makeName(path, entry, "mknod", (dir, name) => makeNode(dir, name, S_IFIFO | (entry.mode & 0o777)));
      case "char":
      case "block":
        return this.#makeStandIn(path, entry, entry.kind);
      default:
        throw new Error(`Unknown entry ${entry.kind satisfies never}`);
    }
  }

  /** What cannot be opened: a symlink, a fifo. */
  #makeName(path: ByteString, entry: TarEntry, callName: string, make: (dir: Fd, name: string) => number): void {
    const { dir, name, real } = this.#make(path, callName, make);
    this.#metadata.describeName(dir, name, real, entry);
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
    const [parent, name] = [parentOf(path), nameOf(path)];
    let dir = this.#cache.open(parent, "make");
    let real = joinName(dir.real, name);
    this.#real = real;
    let result = make(dir.fd, name);
    if (result === -EEXIST) {
      this.#makeRoom(dir.fd, name, real);
      dir = this.#cache.open(parent, "make");
      real = joinName(dir.real, name);
      result = make(dir.fd, name);
    }
    if (result < 0) throw explain?.(-result) ?? treeError(callName, real, -result, this.#options.place);
    this.#notes.forget(real);
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
      this.#directories.forget(real);
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
    this.#notes.record(this.#real).device = { kind, major: entry.deviceMajor, minor: entry.deviceMinor };
    this.#notes.note("an empty file stands in for the device node, which only root could make", this.#real);
    const fd = this.#fd!;
    this.#metadata.describeFile(fd, this.#real, entry);
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
    this.#directories.note(place.real, entry, stat.key);
  }

  /** The target is a path from the layer's root (C-003), and has to be in this layer. */
  #makeHardLink(path: ByteString, entry: TarEntry): void {
    const target = cleanPath(entry.linkPath);
    if (target === undefined || target === "") throw this.#refuse("the target of its hard link leaves the layer");
    const [parent, targetName] = [parentOf(target), nameOf(target)];
    let record: PathRecord | undefined;
    const link = (dir: Fd, name: string): number => {
      const from = this.#cache.open(parent, "find");
      if (typeof from === "number") return from;
      record = this.#notes.paths.get(joinName(from.real, targetName));
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
    if (record !== undefined) this.#notes.share(place.real, record);
  }

  /** Records of what went away with a directory that was replaced. */
  #dropStaleRecords(): void {
    if (!this.#hasRemovedTrees) return;
    for (const path of this.#notes.paths.keys()) {
      if (path === "") continue;
      const dir = this.#cache.open(parentOf(path), "find");
      const isGone = typeof dir === "number" || dir.real !== parentOf(path) ||
        typeof statName(dir.fd, nameOf(path)) === "number";
      if (isGone) this.#notes.forget(path);
    }
  }
}
