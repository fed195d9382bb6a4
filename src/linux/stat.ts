/**
 * What a name is: statx(2).
 *
 * @module
 */
import { type Fd, tryCall } from "./call.ts";
import { putName, scratch } from "./scratch.ts";

/** `struct statx` (linux/stat.h): the fields that we read. */
export const STATX = {
  mask: 0,
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  btimeSeconds: 80,
  ctimeSeconds: 96,
  ctimeNanoseconds: 104,
  mtimeSeconds: 112,
  mtimeNanoseconds: 120,
  deviceMajor: 128,
  deviceMinor: 132,
  fileSystemMajor: 136,
  fileSystemMinor: 140,
  mountId: 144,
  SIZE: 256,
} as const;

const STATX_BASIC_STATS = 0x7ff;
const STATX_MNT_ID = 0x1000; // Linux 5.8; left out of the mask before
const AT_STATX = 0x100 | 0x1000 | 0x800; // SYMLINK_NOFOLLOW, EMPTY_PATH, NO_AUTOMOUNT

/** A file's identity and metadata. Ids are those of the caller's user namespace. */
export interface FileStat {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Exact up to 2^53: larger inode numbers lose bits, so compare `key`. */
  readonly sizeBytes: number;
  /** Bytes on disk. */
  readonly diskBytes: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  /** Of a device node. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** File system and inode, for comparing: two names with one key are one file. */
  readonly key: string;
  /** The mount it was reached by; 0 before Linux 5.8. */
  readonly mountId: number;
}

/** The name's own metadata, links not followed; with an empty name the descriptor's. Minus errno when there is none. */
export function statName(dir: Fd, name: string): FileStat | number {
  const { nameA, struct } = scratch();
  const flags = AT_STATX;
  const mask = STATX_BASIC_STATS | STATX_MNT_ID;
  const result = tryCall("statx", dir, putName(nameA, name), flags, mask, struct.address);
  if (result < 0) return result;
  const view = struct.view;
  const inode = view.getBigUint64(STATX.inode, true);
  return {
    mode: view.getUint16(STATX.mode, true),
    uid: view.getUint32(STATX.uid, true),
    gid: view.getUint32(STATX.gid, true),
    links: view.getUint32(STATX.links, true),
    sizeBytes: Number(view.getBigUint64(STATX.size, true)),
    diskBytes: Number(view.getBigUint64(STATX.blocks, true)) * 512,
    mtimeSeconds: Number(view.getBigInt64(STATX.mtimeSeconds, true)),
    mtimeNanoseconds: view.getUint32(STATX.mtimeNanoseconds, true),
    deviceMajor: view.getUint32(STATX.deviceMajor, true),
    deviceMinor: view.getUint32(STATX.deviceMinor, true),
    key: `${view.getUint32(STATX.fileSystemMajor, true)}:${view.getUint32(STATX.fileSystemMinor, true)}:${inode}`,
    mountId: (view.getUint32(STATX.mask, true) & STATX_MNT_ID) === 0
      ? 0
      : Number(view.getBigUint64(STATX.mountId, true)),
  };
}
