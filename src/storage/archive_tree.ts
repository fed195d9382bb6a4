/**
 * A file or a tree as an archive: what `cp` takes out of a container or brings from the host, and what `export` writes.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { EINTR } from "#linux/errno_values.ts";
import {
  close,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "#linux/file.ts";
import { findRuns } from "#linux/holes.ts";
import { reopen } from "#linux/path_fd.ts";
import { type FileStat, statName } from "#linux/stat.ts";
import { statFileSystemOf } from "#linux/statfs.ts";
import { openName, readLink } from "#linux/tree.ts";
import { type ByteString, EMPTY_BYTES, quote } from "#tar/bytes.ts";
import { makeEntry, NO_XATTRS, type TarEntry, type TarKind } from "#tar/entry.ts";
import type { TarOutput } from "#tar/output.ts";
import { SPARSE_MAX_RUNS } from "#tar/sparse.ts";
import { treeError } from "./tree_error.ts";
import { readXattrs } from "./tree_xattrs.ts";
import { walkTree } from "./walk_tree.ts";

/** How files become entries. */
export interface ArchiveOptions {
  /** Whether entries say who owns the files, or that root does. */
  readonly owners: "kept" | "root";
  /** Whether holes are left out: only for archives that a reader of ours gets. */
  readonly sparse: boolean;
  /** Whether what is mounted in the tree is part of it. The kernel's own file systems never are. */
  readonly crossesMounts: boolean;
  /** Changes what an entry says: what is recorded and not on disk. */
  readonly adjust?: ((path: ByteString, stat: FileStat, entry: TarEntry) => TarEntry) | undefined;
}

const READ_BYTES = 262_144;

/** f_type of file systems that hold the kernel's state and no files (linux/magic.h). */
const KERNEL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x1cd1, // devpts
  0x63677270, // cgroup2
  0x27e0eb, // cgroup
  0x19800202, // mqueue
  0x64626720, // debugfs
  0x74726163, // tracefs
  0xcafe4a11, // bpf
  0x73636673, // securityfs
]);

const KINDS: ReadonlyMap<number, TarKind> = new Map<number, TarKind>([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFIFO, "fifo"],
  [S_IFCHR, "char"],
  [S_IFBLK, "block"],
]);

/** Writes files to an archive, each inode once: further names of it are hard links. */
export class TreeArchiver {
  /** One line for each kind of thing that is not in the archive as it is on disk. */
  readonly warnings = new Set<string>();
  readonly #output: TarOutput;
  readonly #options: ArchiveOptions;
  /** Where files with several names stand in the archive, by their identity. */
  readonly #linked = new Map<string, ByteString>();
  readonly #buffer = allocate(READ_BYTES);
  readonly #zeros = new Uint8Array(READ_BYTES);

  constructor(output: TarOutput, options: ArchiveOptions) {
    this.#output = output;
    this.#options = options;
  }

  /**
   * A file, or a directory with all that is in it.
   * @param top As O_PATH; stays the caller's. What is archived is what it refers to, whatever its name leads to since.
   * @param name What it is called in the archive; `.` leaves the names of what is in a directory as they are.
   */
  add(top: Fd, name: ByteString): void {
    const stat = statName(top, "");
    if (typeof stat === "number") throw treeError("stat", name, -stat);
    if ((stat.mode & S_IFMT) !== S_IFDIR) return this.#addOpened(top, name, stat);
    const dir = openName(top, ".", O_RDONLY | O_DIRECTORY);
    if (dir < 0) throw treeError("open", name, -dir);
    try {
      this.directory(name, stat, readXattrs(dir as Fd));
      const prefix = name.endsWith("/") ? name : `${name}/`;
      if (!isKernelFileSystem(dir as Fd)) this.below(dir as Fd, prefix);
    } finally {
      close(dir as Fd);
    }
  }

  /** All that is in a directory. @param prefix Stands in front of the paths from it. */
  below(dir: Fd, prefix: string): void {
    const own = statName(dir, "");
    let mountId = typeof own === "number" ? 0 : own.mountId;
    walkTree(dir, {
      entry: ({ dir: parent, name, path, stat, fd }) => {
        const full = (prefix + path) as ByteString;
        if (fd === undefined) {
          this.name(parent, name, full, stat);
          return false;
        }
        this.directory(full, stat, readXattrs(fd));
        if (stat.mountId === mountId) return true;
        // another mount begins or ends here
        if (isKernelFileSystem(fd)) return false;
        mountId = stat.mountId;
        return true;
      },
    }, this.#options);
  }

  /** A directory's own entry. */
  directory(path: ByteString, stat: FileStat, xattrs: TarEntry["xattrs"]): void {
    this.#output.entry(this.#describe(path, stat, "directory", xattrs));
  }

  /** Anything but a directory, by its name. */
  name(dir: Fd, name: string, path: ByteString, stat: FileStat): void {
    const fd = openName(dir, name, O_PATH | O_NOFOLLOW);
    // it has gone since it was listed
    if (fd < 0) return;
    try {
      // the file that was opened, whatever stood there before
      const own = statName(fd as Fd, "");
      this.#addOpened(fd as Fd, path, typeof own === "number" ? stat : own);
    } finally {
      close(fd as Fd);
    }
  }

  /** Anything but a directory, by an O_PATH descriptor. */
  #addOpened(fd: Fd, path: ByteString, stat: FileStat): void {
    const kind = KINDS.get(stat.mode & S_IFMT);
    if (kind === "directory") return;
    if (kind === undefined) {
      return void this.warnings.add("sockets are left out: they belong to the process that made them");
    }
    const first = stat.links > 1 ? this.#linked.get(stat.key) : undefined;
    if (first !== undefined) {
      this.#output.entry({ ...this.#describe(path, stat, "hardlink", NO_XATTRS), linkPath: first });
      return;
    }
    if (stat.links > 1) this.#linked.set(stat.key, path);
    if (kind === "file") this.#addFile(fd, path, stat);
    else if (kind === "symlink") {
      const target = readLink(fd, "");
      if (typeof target === "number") throw treeError("readlink", path, -target);
      this.#output.entry({ ...this.#describe(path, stat, kind, NO_XATTRS), linkPath: target as ByteString });
    } else this.#output.entry(this.#describe(path, stat, kind, NO_XATTRS));
  }

  #addFile(pathFd: Fd, path: ByteString, stat: FileStat): void {
    const fd = reopen(pathFd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) throw treeError("open", path, -fd);
    try {
      const { sizeBytes, diskBytes } = stat;
      const entry = this.#describe(path, stat, "file", readXattrs(fd as Fd));
      if (entry.kind !== "file") return this.#output.entry(entry);
      // without the look at its size most files would cost two calls more
      const runs = diskBytes < sizeBytes ? findRuns(fd as Fd, sizeBytes, SPARSE_MAX_RUNS) : undefined;
      if (runs !== undefined && this.#options.sparse) {
        this.#output.entry(entry, runs);
        for (const { offset, length } of runs) this.#copy(fd as Fd, path, offset, length);
        return;
      }
      this.#output.entry(entry);
      let at = 0;
      for (const { offset, length } of runs ?? [{ offset: 0, length: sizeBytes }]) {
        this.#writeZeros(offset - at);
        this.#copy(fd as Fd, path, offset, length);
        at = offset + length;
      }
      this.#writeZeros(sizeBytes - at);
    } finally {
      close(fd as Fd);
    }
  }

  /** What a file lacks since it was looked at is zeros, as with every tar: its size is told already. */
  #copy(fd: Fd, path: ByteString, offset: number, length: number): void {
    const address = addressOf(this.#buffer);
    for (let done = 0; done < length;) {
      const got = tryCall("pread64", fd, address, Math.min(READ_BYTES, length - done), offset + done);
      if (got === -EINTR) continue;
      if (got < 0) throw treeError("read", path, -got);
      if (got === 0) {
        this.warnings.add(`${quote(path)} has become shorter while it was read: zeros stand for the rest`);
        return this.#writeZeros(length - done);
      }
      this.#output.data(this.#buffer.subarray(0, got));
      done += got;
    }
  }

  #writeZeros(length: number): void {
    for (let left = length; left > 0; left -= READ_BYTES) {
      this.#output.data(this.#zeros.subarray(0, Math.min(left, READ_BYTES)));
    }
  }

  #describe(path: ByteString, stat: FileStat, kind: TarKind, xattrs: TarEntry["xattrs"]): TarEntry {
    const isKept = this.#options.owners === "kept";
    const entry = makeEntry(path, kind, {
      linkPath: EMPTY_BYTES,
      mode: stat.mode & 0o7777,
      uid: isKept ? stat.uid : 0,
      gid: isKept ? stat.gid : 0,
      sizeBytes: kind === "file" ? stat.sizeBytes : 0,
      mtimeSeconds: stat.mtimeSeconds,
      mtimeNanoseconds: stat.mtimeNanoseconds,
      deviceMajor: kind === "char" || kind === "block" ? stat.deviceMajor : 0,
      deviceMinor: kind === "char" || kind === "block" ? stat.deviceMinor : 0,
      xattrs,
    });
    return this.#options.adjust?.(path, stat, entry) ?? entry;
  }
}

function isKernelFileSystem(fd: Fd): boolean {
  return KERNEL_FILE_SYSTEMS.has(statFileSystemOf(fd).type);
}
