/**
 * Names in directories: made, linked, renamed and removed relative to a directory's descriptor. For code that handles
 * many files: nothing is allocated, names are bytes (strings of chars 0…255), and every function returns the kernel's
 * result or minus errno, so that expected failures (EEXIST) cost no exception.
 *
 * @module
 */
import { addressOf } from "#ffi/mod.ts";
import { type Fd, tryCall } from "./call.ts";
import { EINTR } from "./errno_values.ts";
import { O_CLOEXEC, OPEN_HOW } from "./file.ts";
import { putName, readChars, scratch } from "./scratch.ts";

/** openat(2); the descriptor is close-on-exec. */
export function openName(dir: Fd, name: string, flags: number, mode = 0): number {
  return tryCall("openat", dir, putName(scratch().nameA, name), flags | O_CLOEXEC, mode);
}

/** openat2(2), Linux 5.6: resolution obeys `resolve` (RESOLVE_*); the descriptor is close-on-exec. */
export function openResolved(dir: Fd, path: string, flags: number, resolve: number): number {
  const { nameA, struct } = scratch();
  struct.view.setBigUint64(OPEN_HOW.flags, BigInt(flags | O_CLOEXEC), true);
  struct.view.setBigUint64(OPEN_HOW.mode, 0n, true);
  struct.view.setBigUint64(OPEN_HOW.resolve, BigInt(resolve), true);
  return tryCall("openat2", dir, putName(nameA, path), struct.address, OPEN_HOW.SIZE);
}

/** mkdirat(2) */
export function makeDirectory(dir: Fd, name: string, mode: number): number {
  return tryCall("mkdirat", dir, putName(scratch().nameA, name), mode);
}

/** mknodat(2). `mode` holds the type; device 0:0 is overlayfs's whiteout, which plain users may make since Linux 5.8. */
export function makeNode(dir: Fd, name: string, mode: number, device = 0): number {
  return tryCall("mknodat", dir, putName(scratch().nameA, name), mode, device);
}

/** symlinkat(2) */
export function makeSymlink(target: string, dir: Fd, name: string): number {
  const { nameA, nameB } = scratch();
  return tryCall("symlinkat", putName(nameB, target), dir, putName(nameA, name));
}

/** linkat(2); a symlink at the old name is linked itself, not followed. */
export function makeHardLink(oldDir: Fd, oldName: string, newDir: Fd, newName: string): number {
  const { nameA, nameB } = scratch();
  return tryCall("linkat", oldDir, putName(nameB, oldName), newDir, putName(nameA, newName), 0);
}

/** unlinkat(2). `flags` AT_REMOVEDIR for a directory. */
export function removeName(dir: Fd, name: string, flags = 0): number {
  return tryCall("unlinkat", dir, putName(scratch().nameA, name), flags);
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** renameat2(2) */
export function renameName(oldDir: Fd, oldName: string, newDir: Fd, newName: string, flags = 0): number {
  const { nameA, nameB } = scratch();
  return tryCall("renameat2", oldDir, putName(nameB, oldName), newDir, putName(nameA, newName), flags);
}

/** readlinkat(2). With an empty name, of the link that an O_PATH descriptor refers to. */
export function readLink(dir: Fd, name: string): string | number {
  const { nameA, io } = scratch();
  const length = tryCall("readlinkat", dir, putName(nameA, name), io.address, io.bytes.length);
  return length < 0 ? length : readChars(io, 0, length);
}

/** fchmod(2) */
export function setMode(fd: Fd, mode: number): number {
  return tryCall("fchmod", fd, mode);
}

/** fchmodat(2) by name: follows links, so only for names that were just seen to be no link, in directories of ours. */
export function setModeOfName(dir: Fd, name: string, mode: number): number {
  return tryCall("fchmodat", dir, putName(scratch().nameA, name), mode);
}

/** fchownat(2) with AT_EMPTY_PATH (`name` empty: of the descriptor itself) or AT_SYMLINK_NOFOLLOW. */
export function setOwner(dir: Fd, name: string, uid: number, gid: number): number {
  const flags = name === "" ? 0x1000 : 0x100;
  return tryCall("fchownat", dir, putName(scratch().nameA, name), uid, gid, flags);
}

/** No change to a time (utimensat(2)). */
const UTIME_OMIT = 0x3fff_ffff;

/**
 * utimensat(2): the time of last modification; access keeps its own. With an empty name of the descriptor itself, which
 * must then be open and not O_PATH; else of the name, not following a link.
 */
export function setMtime(dir: Fd, name: string, seconds: number, nanoseconds: number): number {
  const { nameA, struct } = scratch();
  const { view } = struct;
  view.setInt32(0, 0, true);
  view.setInt32(4, 0, true);
  view.setInt32(8, UTIME_OMIT, true);
  view.setInt32(12, 0, true);
  if (seconds >= 0 && seconds <= 0xffff_ffff) {
    view.setUint32(16, seconds, true);
    view.setUint32(20, 0, true);
  } else view.setBigInt64(16, BigInt(seconds), true);
  view.setUint32(24, nanoseconds, true);
  view.setUint32(28, 0, true);
  return name === ""
    ? tryCall("utimensat", dir, 0, struct.address, 0)
    : tryCall("utimensat", dir, putName(nameA, name), struct.address, 0x100);
}

/** ftruncate(2) */
export function setSize(fd: Fd, sizeBytes: number): number {
  return tryCall("ftruncate", fd, sizeBytes);
}

/**
 * pwrite64(2) until all is written.
 * @param bytes Any bytes; few of them are copied first, since V8 may keep those where they move.
 * @returns 0, or minus errno.
 */
export function writeAt(fd: Fd, bytes: Uint8Array, offsetBytes: number): number {
  const { io } = scratch();
  let address: number;
  if (bytes.length <= 1024) {
    io.bytes.set(bytes);
    address = io.address;
  } else address = addressOf(bytes);
  for (let done = 0; done < bytes.length;) {
    const result = tryCall("pwrite64", fd, address + done, bytes.length - done, offsetBytes + done);
    if (result === -EINTR) continue;
    if (result < 0) return result;
    done += result;
  }
  return 0;
}

/** syncfs(2): everything of the descriptor's file system reaches the disk. */
export function syncFileSystem(fd: Fd): number {
  return tryCall("syncfs", fd);
}

/** fsync(2) */
export function syncFile(fd: Fd): number {
  return tryCall("fsync", fd);
}

const SYNC_FILE_RANGE_WRITE = 2;

/** sync_file_range(2): starts writing a file's dirty pages, without waiting, so that a later syncfs finds less to do. */
export function startWriteback(fd: Fd): number {
  return tryCall("sync_file_range", fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/** ioctl FICLONE (linux/fs.h): the whole content of `source`, shared until one of them is written. btrfs, XFS, bcachefs. */
const FICLONE = 0x4004_9409;

/** Shares content by reflink; minus errno where the file system cannot (EOPNOTSUPP, EXDEV, EINVAL, ENOTTY). */
export function cloneContent(target: Fd, source: Fd): number {
  return tryCall("ioctl", target, FICLONE, source);
}

/** copy_file_range(2) from where both stand; returns the bytes copied, 0 at the end. */
export function copyRange(target: Fd, source: Fd, lengthBytes: number): number {
  return tryCall("copy_file_range", source, 0, target, 0, lengthBytes, 0);
}
