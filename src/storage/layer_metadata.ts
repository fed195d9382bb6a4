/**
 * Owners, attributes, modes and times of what a layer brings, in this order, since each may undo the one behind it. What
 * the disk does not take goes into the notes.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { EINVAL } from "#linux/errno_values.ts";
import { close, O_NOFOLLOW, O_PATH } from "#linux/file.ts";
import { setModeOfPathFd } from "#linux/path_fd.ts";
import { openName, setMode, setMtime, setOwner } from "#linux/tree.ts";
import { setXattr } from "#linux/xattr.ts";
import { type ByteString, quote } from "#tar/bytes.ts";
import type { TarEntry, TarKind } from "#tar/entry.ts";
import type { LayerNotes } from "./layer_notes.ts";
import { treeError } from "./tree_error.ts";
import { type Ownership, placeXattr } from "./xattr_place.ts";

/** Where metadata goes. */
export type MetadataTarget = {
  readonly ownership: Ownership;
  /** What this process makes is owned by these ids, as seen inside of its user namespace. */
  readonly own: { readonly uid: number; readonly gid: number };
  /** The process's umask: files that it narrows get their mode by a call of its own. */
  readonly umask: number;
  /** A path on the file system that is written to, for messages. */
  readonly place: string;
};

/** What an archive says of a file or a directory. */
export type Metadata = Pick<TarEntry, "mode" | "uid" | "gid" | "mtimeSeconds" | "mtimeNanoseconds" | "xattrs">;

/** To fchownat(2): this one stays as it is. */
const NO_CHANGE = 0xffff_ffff;

export class LayerMetadata {
  readonly #target: MetadataTarget;
  readonly #notes: LayerNotes;

  constructor(target: MetadataTarget, notes: LayerNotes) {
    this.#target = target;
    this.#notes = notes;
  }

  /** Of an open file that was made with the mode, but for what a umask and the kernel take from it. */
  describeFile(fd: Fd, path: ByteString, entry: TarEntry): void {
    this.#setOwner(fd, "", path, entry);
    this.#setXattrs(fd, path, entry.xattrs, "file", "first");
    const mode = this.#modeOnDisk(path, entry.mode);
    if ((mode & 0o7000) !== 0 || (mode & this.#target.umask) !== 0 || entry.xattrs.size > 0) {
      this.#expect(setMode(fd, mode), "fchmod", path);
    }
    this.#setXattrs(fd, path, entry.xattrs, "file", "afterMode");
    this.#setMtime(fd, "", path, entry);
  }

  /** Of an open directory. */
  describeDirectory(fd: Fd, path: ByteString, metadata: Metadata): void {
    this.#setOwner(fd, "", path, metadata);
    this.#setXattrs(fd, path, metadata.xattrs, "directory", "first");
    this.#expect(setMode(fd, this.#modeOnDisk(path, metadata.mode)), "fchmod", path);
    this.#setXattrs(fd, path, metadata.xattrs, "directory", "afterMode");
    this.#setMtime(fd, "", path, metadata);
  }

  /** Of a symlink or a fifo, which cannot be opened. */
  describeName(dir: Fd, name: string, path: ByteString, entry: TarEntry): void {
    // a link has no mode, and a fifo was made with its own
    if (entry.kind !== "symlink" && (entry.mode & 0o777 & this.#target.umask) !== 0) {
      this.#setModeOfName(dir, name, path, entry.mode & 0o777);
    }
    this.#setOwner(dir, name, path, entry);
    for (const [attribute, value] of entry.xattrs) this.#notes.recordXattr(path, attribute, value);
    this.#setMtime(dir, name, path, entry);
  }

  #setModeOfName(dir: Fd, name: string, path: ByteString, mode: number): void {
    const fd = this.#expect(openName(dir, name, O_PATH | O_NOFOLLOW), "open", path) as Fd;
    try {
      this.#expect(setModeOfPathFd(fd, mode), "fchmodat2", path);
    } finally {
      close(fd);
    }
  }

  #setMtime(dir: Fd, name: string, path: ByteString, { mtimeSeconds, mtimeNanoseconds }: Metadata): void {
    this.#expect(setMtime(dir, name, mtimeSeconds, mtimeNanoseconds), "utimensat", path);
  }

  #setOwner(dir: Fd, name: string, path: ByteString, { uid, gid }: Metadata): void {
    const { ownership, own } = this.#target;
    if (ownership === "single") {
      // inside, every file is root's
      if (uid !== 0) this.#notes.record(path).uid = uid;
      if (gid !== 0) this.#notes.record(path).gid = gid;
      return;
    }
    if (uid === own.uid && gid === own.gid) return;
    const result = setOwner(dir, name, uid, gid);
    if (result >= 0) return;
    if (result !== -EINVAL) this.#expect(result, "fchownat", path);
    // EINVAL: an id that the user namespace does not map (C-011). Root's it is then, as far as ids are missing.
    const record = this.#notes.record(path);
    if (setOwner(dir, name, uid, NO_CHANGE) < 0) {
      record.uid = uid;
      this.#notes.note(`user ${uid} is outside of the ids that this user has; it is recorded`, path);
      setOwner(dir, name, 0, NO_CHANGE);
    }
    if (setOwner(dir, name, NO_CHANGE, gid) < 0) {
      record.gid = gid;
      this.#notes.note(`group ${gid} is outside of the ids that this user has; it is recorded`, path);
      setOwner(dir, name, NO_CHANGE, 0);
    }
  }

  /** In single-id mode no file of an image has set-id bits on disk: it would run as the user for anybody. */
  #modeOnDisk(path: ByteString, mode: number): number {
    if (this.#target.ownership === "mapped" || (mode & 0o6000) === 0) return mode;
    this.#notes.record(path).mode = mode;
    return mode & ~0o6000;
  }

  /** @param when ACLs come after the mode, which would change their mask. */
  #setXattrs(
    fd: Fd,
    path: ByteString,
    xattrs: TarEntry["xattrs"],
    kind: TarKind,
    when: "first" | "afterMode",
  ): void {
    for (const [name, value] of xattrs) {
      if (name.startsWith("system.") !== (when === "afterMode")) continue;
      if (placeXattr(name, kind, this.#target.ownership) === "record") this.#notes.recordXattr(path, name, value);
      else if (setXattr(fd, name, value) < 0) {
        // no attributes here (NFS), no room for them (ext4 has 4 KiB), ids that are not mapped
        this.#notes.recordXattr(path, name, value);
        this.#notes.note(`the file system does not take the attribute ${quote(name)}; it is recorded`, path);
      }
    }
  }

  #expect(result: number, callName: string, path: ByteString): number {
    if (result < 0) throw treeError(callName, path, -result, this.#target.place);
    return result;
  }
}
