/**
 * Reading directories by descriptor: getdents64(2).
 *
 * @module
 */
import { type Fd, tryCall } from "./call.ts";
import { readChars, scratch } from "./scratch.ts";

/** `struct linux_dirent64` (getdents64(2)); the name follows, NUL at its end. */
const DIRENT = { length: 16, type: 18, name: 19 } as const;

/** Types in directory entries (dirent.h); 0 where the file system does not say. */
export const DT_UNKNOWN = 0;
export const DT_FIFO = 1;
export const DT_CHR = 2;
export const DT_DIR = 4;
export const DT_BLK = 6;
export const DT_REG = 8;
export const DT_LNK = 10;
export const DT_SOCK = 12;

/** One name in a directory. */
export interface DirectoryEntry {
  /** Bytes, a char 0…255 each. */
  readonly name: string;
  /** DT_*. */
  readonly type: number;
}

/**
 * The next names of an open directory (not O_PATH), without `.` and `..`: up to 64 KiB of them.
 * @returns Minus errno on failure, an empty array at the end.
 */
export function readDirectoryPart(fd: Fd): DirectoryEntry[] | number {
  const { io } = scratch();
  for (;;) {
    const length = tryCall("getdents64", fd, io.address, io.bytes.length);
    if (length < 0) return length;
    const entries: DirectoryEntry[] = [];
    for (let at = 0; at < length; at += io.view.getUint16(at + DIRENT.length, true)) {
      const start = at + DIRENT.name;
      const name = readChars(io, start, io.bytes.indexOf(0, start));
      if (name !== "." && name !== "..") entries.push({ name, type: io.bytes[at + DIRENT.type]! });
    }
    if (entries.length > 0 || length === 0) return entries;
  }
}

/** All names of an open directory, in the order of their bytes; minus errno on failure. */
export function readDirectory(fd: Fd): DirectoryEntry[] | number {
  const all: DirectoryEntry[] = [];
  for (;;) {
    const part = readDirectoryPart(fd);
    if (typeof part === "number") return part;
    if (part.length === 0) return all.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of part) all.push(entry);
  }
}
