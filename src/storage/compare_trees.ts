/**
 * What a container has changed: its upper directory (or the whole copy of its image, with vfs) beside the layers below.
 * Docker's rules: A for what is new, C for what was changed or replaced and for the directories on the way to a change, D for
 * what is gone, of a directory that is gone the directory alone.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { close, S_IFDIR, S_IFMT, S_IFREG } from "#linux/file.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import type { ByteString } from "#tar/bytes.ts";
import { NO_XATTRS, type TarEntry } from "#tar/entry.ts";
import { joinName, parentOf } from "#tar/name.ts";
import { readXattrs } from "./tree_xattrs.ts";
import {
  hasOpaqueMark,
  isWhiteout,
  listMerged,
  lookAtMerged,
  type MergedPart,
  openMergedParts,
} from "./merged_tree.ts";
import { type WalkedEntry, walkTree } from "./walk_tree.ts";

/** A file below, and in which of the layers. */
type Lower = { readonly index: number; readonly stat: FileStat };

/** A change. A descriptor is good for the call. */
export type TreeChange =
  | {
    readonly kind: "A" | "C";
    readonly path: ByteString;
    readonly stat: FileStat;
    /** Where it stands; undefined of a directory, which is told when something in it has changed. */
    readonly at: { readonly dir: Fd; readonly name: string } | undefined;
    /** Of a directory. */
    readonly xattrs: TarEntry["xattrs"];
    readonly lower: Lower | undefined;
  }
  | {
    readonly kind: "D";
    readonly path: ByteString;
    /** The opaque directory by which it is gone; undefined where it is gone by itself. */
    readonly within: ByteString | undefined;
  };

/** What is compared. */
export interface CompareOptions {
  /** Whether what the tree lacks is gone: the tree is no upper directory but all of the container's root. */
  readonly isComplete: boolean;
  /** Where something is mounted: the engine has made these places, and they are no change. */
  readonly mountPoints: readonly ByteString[];
}

/** A directory on the way down. */
type Frame = {
  readonly path: ByteString;
  readonly lower: readonly MergedPart[];
  /** Whether nothing below shows through it. */
  readonly isOpaque: boolean;
  /** Whether fuse-overlayfs has marked it, or one above: what is new in there has the file alone. */
  readonly isFuse: boolean;
  readonly within: ByteString | undefined;
  /** Its own change, which is told when something in it has changed. */
  waiting: TreeChange | undefined;
};

/**
 * Tells the changes, directories before what is in them.
 * @param lowers The roots of the layers, topmost first.
 */
export function compareTrees(
  tree: Fd,
  lowers: readonly Fd[],
  options: CompareOptions,
  tell: (change: TreeChange) => void,
): void {
  const comparison = new Comparison(lowers, options, tell);
  try {
    walkTree(tree, comparison, { crossesMounts: false });
  } finally {
    comparison.close();
  }
}

class Comparison {
  readonly #lowers: readonly Fd[];
  readonly #options: CompareOptions;
  readonly #tell: (change: TreeChange) => void;
  readonly #places: ReadonlySet<ByteString>;
  /** The directories in which such a place is, and those above. */
  readonly #above: ReadonlySet<ByteString>;
  readonly #frames: Frame[] = [];
  #waiting: TreeChange | undefined;

  constructor(lowers: readonly Fd[], options: CompareOptions, tell: (change: TreeChange) => void) {
    this.#lowers = lowers;
    this.#options = options;
    this.#tell = tell;
    this.#places = new Set(options.mountPoints);
    this.#above = new Set(options.mountPoints.flatMap((path) => {
      const parts = path.split("/");
      return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/") as ByteString);
    }));
  }

  enter(path: ByteString, fd: Fd, names: readonly string[]): void {
    this.#leaveTo(parentOf(path), path === "");
    const up = this.#frames.at(-1);
    const lower = openMergedParts(this.#lowers, path);
    const isFuse = up?.isFuse === true || hasFuseMark(fd);
    const isMarked = !this.#options.isComplete && lower.length > 0 && (hasOpaqueMark(fd) || isFuse);
    const isOpaque = this.#options.isComplete || isMarked || up?.isOpaque === true;
    const within = up?.within ?? (isMarked ? path : undefined);
    this.#frames.push({ path, lower, isOpaque, isFuse, within, waiting: this.#waiting });
    this.#waiting = undefined;
    if (!isOpaque || lower.length === 0) return;
    const own = new Set(names);
    for (const name of listMerged(lower)) {
      if (!own.has(name)) this.#change({ kind: "D", path: joinName(path, name), within });
    }
  }

  entry(entry: WalkedEntry): boolean {
    const { path, name, stat, dir, fd } = entry;
    this.#leaveTo(parentOf(path), false);
    const up = this.#frames.at(-1)!;
    if (up.isFuse && (name === FUSE_MARK || name === FUSE_MARK_FILE)) return false;
    const lower = lookAtMerged(up.lower, name);
    if (isWhiteout(stat)) {
      if (lower !== undefined) this.#change({ kind: "D", path, within: up.within });
      return false;
    }
    if (lower === undefined && this.#isPlace(path, stat)) return false;
    const change: TreeChange = {
      kind: lower === undefined ? "A" : "C",
      path,
      stat,
      at: fd === undefined ? { dir, name } : undefined,
      xattrs: fd === undefined ? NO_XATTRS : readXattrs(fd),
      lower,
    };
    if ((stat.mode & S_IFMT) !== S_IFDIR) {
      // a file in an upper directory was opened for writing, whatever it says of itself; in a whole copy only that tells
      const isSame = this.#options.isComplete && lower !== undefined && isSameFile(stat, lower.stat);
      if (!isSame) this.#change(change);
      return false;
    }
    const isWaiting = lower === undefined ? this.#above.has(path) : this.#isSameDirectory(path, stat, lower.stat);
    if (isWaiting) this.#waiting = change;
    else this.#change(change);
    return true;
  }

  close(): void {
    for (const { lower } of this.#frames) for (const { fd } of lower) close(fd);
    this.#frames.length = 0;
  }

  #change(change: TreeChange): void {
    for (const frame of this.#frames) {
      if (frame.waiting !== undefined) this.#tell(frame.waiting);
      frame.waiting = undefined;
    }
    this.#tell(change);
  }

  #leaveTo(path: ByteString, isTop: boolean): void {
    while (this.#frames.length > 0 && (isTop || this.#frames.at(-1)!.path !== path)) {
      for (const { fd } of this.#frames.pop()!.lower) close(fd);
    }
  }

  /** An empty file or directory that was made to mount something at. */
  #isPlace(path: ByteString, { mode, sizeBytes }: FileStat): boolean {
    const type = mode & S_IFMT;
    return this.#places.has(path) && (type === S_IFDIR || (type === S_IFREG && sizeBytes === 0));
  }

  #isSameDirectory(path: ByteString, stat: FileStat, lower: FileStat): boolean {
    if ((lower.mode & S_IFMT) !== S_IFDIR) return false;
    if (stat.mode !== lower.mode || stat.uid !== lower.uid || stat.gid !== lower.gid) return false;
    // to make a place in a directory changes its time
    return this.#above.has(path) || isSameTime(stat, lower);
  }
}

/** How fuse-overlayfs marks an opaque directory: a whiteout, which nothing in a container can make, and an empty file. */
const FUSE_MARK = ".wh..opq";
const FUSE_MARK_FILE = ".wh..wh..opq";

function hasFuseMark(dir: Fd): boolean {
  const stat = statName(dir, FUSE_MARK);
  return typeof stat !== "number" && isWhiteout(stat);
}

function isSameFile(a: FileStat, b: FileStat): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.sizeBytes === b.sizeBytes && isSameTime(a, b) &&
    a.deviceMajor === b.deviceMajor && a.deviceMinor === b.deviceMinor;
}

function isSameTime(a: FileStat, b: FileStat): boolean {
  return a.mtimeSeconds === b.mtimeSeconds && a.mtimeNanoseconds === b.mtimeNanoseconds;
}

/** Whether a file that was copied up has its content still, as far as size and time tell. */
export function isUnchanged(stat: FileStat, lower: FileStat): boolean {
  return stat.sizeBytes === lower.sizeBytes && isSameTime(stat, lower);
}
