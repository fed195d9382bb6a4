import { type ByteString, EMPTY_BYTES } from "./bytes.ts";

/** What an entry makes. A hard link's `linkPath` is a path from the archive's root, a symlink's is its text. */
export type TarKind = "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";

/** A run of bytes of a sparse file that the archive holds; what lies between two runs is a hole. */
export type SparseRun = { readonly offset: number; readonly length: number };

/** One entry, whichever format it came in. Nothing is cleaned yet: `../x` is still `../x` (see `cleanPath`). */
export type TarEntry = {
  /** As in the archive, without the slashes at its end. */
  readonly path: ByteString;
  readonly kind: TarKind;
  /** Empty but for hard links and symlinks. */
  readonly linkPath: ByteString;
  /** 0…0o7777, set-id and sticky bits included. */
  readonly mode: number;
  /** 0…2^32−2 */
  readonly uid: number;
  readonly gid: number;
  readonly userName: ByteString;
  readonly groupName: ByteString;
  /** Size of the file when it is unpacked, holes included; 0 for everything but files. */
  readonly sizeBytes: number;
  /** Whole seconds since 1970, rounded down, so that a time before 1970 is negative. */
  readonly mtimeSeconds: number;
  /** 0…999,999,999, added to the seconds. */
  readonly mtimeNanoseconds: number;
  /** 0…2^32−1; 0 but for devices. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** Extended attributes by full name (`security.capability`). */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** The runs that the archive holds, in order, or undefined for a file that is not sparse. */
  readonly sparse: readonly SparseRun[] | undefined;
};

/** No attributes; shared, since few entries have any. */
export const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/** An entry with the defaults filled in: root's, mode 0644 (directories 0755), time 0. */
export function makeEntry(path: ByteString, kind: TarKind, rest: Partial<TarEntry> = {}): TarEntry {
  return {
    path,
    kind,
    linkPath: EMPTY_BYTES,
    mode: kind === "directory" ? 0o755 : kind === "symlink" ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    userName: EMPTY_BYTES,
    groupName: EMPTY_BYTES,
    sizeBytes: 0,
    mtimeSeconds: 0,
    mtimeNanoseconds: 0,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: NO_XATTRS,
    sparse: undefined,
    ...rest,
  };
}
