/**
 * Files and directories by descriptor: open, openat2, fcntl, pipes, memfds. One function per call, with the kernel's
 * names; paths are given relative to a directory descriptor.
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { call, expectResult, type Fd, tryCall } from "./call.ts";
import { POLLFD, POLLOUT } from "./poll.ts";

// fcntl.h (asm-generic; O_DIRECTORY, O_NOFOLLOW, O_DIRECT and O_LARGEFILE differ on aarch64)
const AARCH64 = process.arch === "arm64";
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NOCTTY = 0o400;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = AARCH64 ? 0o40000 : 0o200000;
export const O_NOFOLLOW = AARCH64 ? 0o100000 : 0o400000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

export const AT_FDCWD = -100 as Fd;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_NO_AUTOMOUNT = 0x800;
export const AT_EMPTY_PATH = 0x1000;

// openat2(2), linux/openat2.h
export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;
export const RESOLVE_IN_ROOT = 0x10;
export const RESOLVE_CACHED = 0x20; // Linux 5.12

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

/** `struct open_how` (openat2(2)): three u64. */
export const OPEN_HOW = { flags: 0, mode: 8, resolve: 16, SIZE: 24 } as const;

/** A path as text or, where it need not be UTF-8, as bytes. */
export type PathLike = string | Uint8Array;

function show(path: PathLike): string {
  return typeof path === "string" ? path : new TextDecoder().decode(path);
}

/** openat(2). The descriptor is always close-on-exec. */
export function openAt(dir: Fd, path: PathLike, flags: number, mode = 0): Fd {
  const name = cString(path);
  return call("openat", show(path), dir, addressOf(name), flags | O_CLOEXEC, mode) as Fd;
}

/**
 * openat2(2), Linux 5.6: opens `path` such that resolution obeys `resolve`.
 * @returns The descriptor, always close-on-exec, or minus errno (EXDEV and ELOOP say that a rule was broken; EAGAIN
 * that a rename raced with `..`, and that the call may be made again).
 */
export function tryOpenAt2(dir: Fd, path: PathLike, flags: number, resolve: number, mode = 0): number {
  const name = cString(path);
  const how = allocate(OPEN_HOW.SIZE);
  const view = new DataView(how.buffer);
  view.setBigUint64(OPEN_HOW.flags, BigInt(flags | O_CLOEXEC), true);
  view.setBigUint64(OPEN_HOW.mode, BigInt(mode), true);
  view.setBigUint64(OPEN_HOW.resolve, BigInt(resolve), true);
  return tryCall("openat2", dir, addressOf(name), addressOf(how), OPEN_HOW.SIZE);
}

/** close(2). An error is not reported: the descriptor is gone either way. */
export function close(fd: Fd): void {
  tryCall("close", fd);
}

/** A descriptor that closes itself at the end of a `using` block. */
export function owned(fd: Fd): { readonly fd: Fd; [Symbol.dispose](): void } {
  return { fd, [Symbol.dispose]: () => close(fd) };
}

/** pipe2(2), both ends close-on-exec. */
export function makePipe(): { read: Fd; write: Fd } {
  const pair = allocate(8);
  call("pipe2", "pipe", addressOf(pair), O_CLOEXEC);
  const view = new DataView(pair.buffer);
  return { read: view.getInt32(0, true) as Fd, write: view.getInt32(4, true) as Fd };
}

// lseek(2)
export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;

// fcntl(2)
export const F_DUPFD = 0;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 1030;
export const F_SETPIPE_SZ = 1031;
export const F_GETPIPE_SZ = 1032;
export const F_ADD_SEALS = 1033;
export const F_GET_SEALS = 1034;
export const FD_CLOEXEC = 1;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;

export const CLOSE_RANGE_UNSHARE = 2;
export const CLOSE_RANGE_CLOEXEC = 4;

/** fcntl(F_DUPFD_CLOEXEC): a copy of `fd` numbered `least` or more. */
export function duplicate(fd: Fd, least = 3): Fd {
  return call("fcntl", `fd ${fd}`, fd, F_DUPFD_CLOEXEC, least) as Fd;
}

/** fcntl(F_ADD_SEALS) with all seals: a memfd's content never changes again. */
export function sealAll(fd: Fd): void {
  call("fcntl", `memfd ${fd}`, fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const MFD_NOEXEC_SEAL = 8;
export const MFD_EXEC = 0x10;
const EINVAL = -22;

/**
 * memfd_create(2). `exec` asks for one that may be executed; kernels before 6.3 do not know that flag and always allow it.
 * @returns The descriptor, or minus errno: EACCES where sysctl vm.memfd_noexec is 2.
 */
export function tryMakeMemfd(name: string, exec: boolean): number {
  const text = cString(name);
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const result = tryCall("memfd_create", addressOf(text), flags | (exec ? MFD_EXEC : MFD_NOEXEC_SEAL));
  return result === EINVAL ? tryCall("memfd_create", addressOf(text), flags) : result;
}

/** write(2) until all of `bytes` is written; one that a full non-blocking pipe or terminal refuses is waited for. */
export function writeAll(fd: Fd, bytes: Uint8Array): void {
  const source = bytes.byteLength < 128 ? stable(bytes) : bytes;
  const address = addressOf(source);
  for (let done = 0; done < source.length;) {
    const result = tryCall("write", fd, address + done, source.length - done);
    if (result === -4) continue; // EINTR
    if (result === -11) { // EAGAIN
      waitUntilWritable(fd);
      continue;
    }
    done += expectResult(result, "write", `fd ${fd}`);
  }
}

/** ppoll(2) for one descriptor, without an end; aarch64 has no poll(2). */
function waitUntilWritable(fd: Fd): void {
  const entry = allocate(POLLFD.SIZE);
  const view = new DataView(entry.buffer);
  view.setInt32(POLLFD.fd, fd, true);
  view.setInt16(POLLFD.events, POLLOUT, true);
  tryCall("ppoll", addressOf(entry), 1, 0, 0, 8);
}

function stable(bytes: Uint8Array): Uint8Array {
  const copy = allocate(bytes.length);
  copy.set(bytes);
  return copy;
}
