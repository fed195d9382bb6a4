import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { expectResult, type Fd, tryCall } from "./call.ts";

/** `struct statfs` on 64-bit Linux (statfs(2)): eight bytes each. */
export const STATFS = { type: 0, blockSize: 8, blocks: 16, free: 24, available: 32, flags: 80, SIZE: 120 } as const;

/** Its magic number: linux/magic.h. */
export const DEVPTS_SUPER_MAGIC = 0x1cd1;

/** ST_* flags of a mount, which have the values of MS_*. */
export const ST_RDONLY = 1;
export const ST_NOSUID = 2;
export const ST_NODEV = 4;
export const ST_NOEXEC = 8;

/** A file system, and how it is mounted. */
export interface FileSystem {
  /** The magic number of its type: linux/magic.h. */
  readonly type: number;
  /** ST_* flags. */
  readonly flags: number;
  /** Bytes that a plain user may still write. */
  readonly availableBytes: number;
}

/** statfs(2): the file system that a path is on. node:fs gives no flags. */
export function statFileSystem(path: string): FileSystem {
  const name = cString(path);
  const bytes = allocate(STATFS.SIZE);
  expectResult(tryCall("statfs", addressOf(name), addressOf(bytes)), "statfs", path);
  return decode(bytes);
}

/** fstatfs(2): the file system that an open file is on. */
export function statFileSystemOf(fd: Fd): FileSystem {
  const bytes = allocate(STATFS.SIZE);
  expectResult(tryCall("fstatfs", fd, addressOf(bytes)), "fstatfs", `descriptor ${fd}`);
  return decode(bytes);
}

function decode(bytes: Uint8Array<ArrayBuffer>): FileSystem {
  const view = new DataView(bytes.buffer);
  const word = (offset: number) => Number(view.getBigUint64(offset, true));
  return {
    type: word(STATFS.type),
    flags: word(STATFS.flags),
    availableBytes: word(STATFS.available) * word(STATFS.blockSize),
  };
}
