import { type ByteString, EMPTY_BYTES, fromBytes } from "./bytes.ts";
import type { SparseRun } from "./entry.ts";
import { XATTR_NAME_MAX_BYTES, XATTR_VALUE_MAX_BYTES } from "./name.ts";
import { MAX_ID, readDecimal, readTime } from "./number.ts";
import { decodeBase64, decodePercent, type PaxRecord } from "./pax.ts";
import { pairUp, readCommaRuns } from "./sparse.ts";

/** What an extended header says about the next entry, or a global one about all that follow. */
export type Meta = {
  path?: ByteString;
  linkPath?: ByteString;
  sizeBytes?: number;
  uid?: number;
  gid?: number;
  userName?: ByteString;
  groupName?: ByteString;
  mtime?: { seconds: number; nanoseconds: number };
  xattrs?: Map<ByteString, Uint8Array>;
  sparse?: PaxSparse;
};

/** GNU's sparse records: forms 0.0 and 0.1 bring the map with them, form 1.0 has it in front of the content. */
export type PaxSparse = { form: "map"; realSize: number; runs: SparseRun[] } | { form: "inContent"; realSize: number };

/** What GNU.sparse.* records say before they are put together. */
type SparseRecords = {
  name: ByteString | undefined;
  major: string;
  minor: string;
  size: number;
  map: string | undefined;
  flat: number[];
  any: boolean;
};

/**
 * Gives records their meaning. Unknown keys are passed over, as pax(1) wants it; a known key with a value that means
 * nothing refuses the archive. The last of two records with one key counts, as in every reader.
 * @param scope Global headers may not name a path or a size: readers disagree about what that would mean.
 * @returns The meaning, or words that say what is wrong.
 */
export function interpretPax(records: readonly PaxRecord[], scope: "entry" | "global"): Meta | string {
  const meta: Meta = {};
  const sparse: SparseRecords = {
    name: undefined,
    major: "",
    minor: "",
    size: NaN,
    map: undefined,
    flat: [],
    any: false,
  };
  for (const { key, value } of records) {
    const fault = key.startsWith("GNU.sparse.")
      ? readSparseRecord(key, fromBytes(value), sparse)
      : readRecord(key, value, meta);
    if (fault !== undefined) return fault;
  }
  if (sparse.any) {
    const built = buildSparse(sparse);
    if (typeof built === "string") return built;
    meta.sparse = built;
    // The real name; `path` is a stand-in such as GNUSparseFile.1/name for readers that know no sparse files (C-009).
    if (sparse.name !== undefined) meta.path = sparse.name;
  }
  if (scope === "global") {
    for (const key of ["path", "linkPath", "sizeBytes", "sparse"] as const) {
      if (meta[key] !== undefined) return `a global extended header sets the ${key} of every entry`;
    }
  }
  return meta;
}

function readRecord(key: ByteString, value: Uint8Array, meta: Meta): string | undefined {
  switch (key as string) {
    case "path":
      return setName(meta, "path", value, key);
    case "linkpath":
      return setName(meta, "linkPath", value, key);
    case "uname":
      meta.userName = fromBytes(value);
      return meta.userName.includes("\0") ? "the user's name holds a NUL byte" : undefined;
    case "gname":
      meta.groupName = fromBytes(value);
      return meta.groupName.includes("\0") ? "the group's name holds a NUL byte" : undefined;
    case "size":
      meta.sizeBytes = readDecimal(fromBytes(value));
      return Number.isNaN(meta.sizeBytes) ? `the size "${show(value)}" is no sensible number` : undefined;
    case "uid":
      meta.uid = readDecimal(fromBytes(value));
      return meta.uid <= MAX_ID ? undefined : `the uid "${show(value)}" is no user id`;
    case "gid":
      meta.gid = readDecimal(fromBytes(value));
      return meta.gid <= MAX_ID ? undefined : `the gid "${show(value)}" is no group id`;
    case "mtime": {
      const time = readTime(fromBytes(value));
      if (time === undefined) return `the time "${show(value)}" is none`;
      meta.mtime = time;
      return undefined;
    }
    case "hdrcharset": {
      // Names are bytes to us whatever they spell; a coding other than these two would have to be converted.
      const charset = fromBytes(value) as string;
      return charset === "BINARY" || charset === "ISO-IR 10646 2000 UTF-8" || charset === ""
        ? undefined
        : `the character set "${show(value)}" isn't known`;
    }
    case "SCHILY.realsize":
      return "star's form of sparse files isn't known";
  }
  if (key.startsWith("SCHILY.xattr.")) return setXattr(meta, key.slice(13) as ByteString, value, true);
  if (key.startsWith("LIBARCHIVE.xattr.")) {
    const name = decodePercent(key.slice(17) as ByteString);
    const decoded = decodeBase64(value);
    if (name === undefined || decoded === undefined) return "an extended attribute is coded wrongly";
    return setXattr(meta, name, decoded, false);
  }
  return undefined;
}

function setName(meta: Meta, field: "path" | "linkPath", value: Uint8Array, key: string): string | undefined {
  // POSIX lets an empty value delete the record; GNU tar takes it as an empty name.
  if (value.length === 0) return `the extended header's ${key} is empty`;
  const name = fromBytes(value);
  if (name.includes("\0")) return `the extended header's ${key} holds a NUL byte`;
  meta[field] = name;
  return undefined;
}

/** bsdtar writes each attribute in both spellings; the raw one (`wins`) is what docker reads. */
function setXattr(meta: Meta, name: ByteString, value: Uint8Array, wins: boolean): string | undefined {
  if (name === "" || name.includes("\0")) return "the name of an extended attribute is empty or holds a NUL byte";
  if (name.length > XATTR_NAME_MAX_BYTES) return "the name of an extended attribute has more than 255 bytes";
  if (value.length > XATTR_VALUE_MAX_BYTES) return "the value of an extended attribute has more than 65,536 bytes";
  meta.xattrs ??= new Map();
  // A copy: the value lies in a buffer that is used again.
  if (wins || !meta.xattrs.has(name)) meta.xattrs.set(name, value.slice());
  return undefined;
}

function readSparseRecord(key: string, value: ByteString, sparse: SparseRecords): string | undefined {
  sparse.any = true;
  switch (key) {
    case "GNU.sparse.major":
      sparse.major = value;
      return undefined;
    case "GNU.sparse.minor":
      sparse.minor = value;
      return undefined;
    case "GNU.sparse.name":
      if (value === "" || value.includes("\0")) return "the sparse file's name is empty or holds a NUL byte";
      sparse.name = value;
      return undefined;
    case "GNU.sparse.size":
    case "GNU.sparse.realsize":
      sparse.size = readDecimal(value);
      return undefined;
    case "GNU.sparse.map":
      sparse.map = value;
      return undefined;
    case "GNU.sparse.offset":
      if (sparse.flat.length % 2 !== 0) return "the sparse records are not in pairs";
      sparse.flat.push(readDecimal(value));
      return undefined;
    case "GNU.sparse.numbytes":
      if (sparse.flat.length % 2 !== 1) return "the sparse records are not in pairs";
      sparse.flat.push(readDecimal(value));
      return undefined;
    case "GNU.sparse.numblocks":
      return undefined; // how many pairs there are can be seen
    default:
      return `the record ${key.slice(0, 60)} isn't known`;
  }
}

function buildSparse(sparse: SparseRecords): PaxSparse | string {
  if (Number.isNaN(sparse.size)) return "the size of the sparse file is no sensible number";
  const form = `${sparse.major}.${sparse.minor}`;
  if (form === "1.0") return { form: "inContent", realSize: sparse.size };
  if (form !== "." && form !== "0.0" && form !== "0.1") return "this version of sparse files isn't known";
  if (sparse.flat.length % 2 !== 0) return "the sparse records are not in pairs";
  const runs = sparse.map === undefined ? pairUp(sparse.flat) : readCommaRuns(sparse.map);
  return runs === undefined ? "the sparse map is none" : { form: "map", realSize: sparse.size, runs };
}

/** Part of an outside value for a message. */
function show(value: Uint8Array): string {
  return (fromBytes(value, 0, 40) || EMPTY_BYTES).replace(/[^ -~]/g, "?");
}

/** What a global header said, overlaid with what the entry's own header says. */
export function mergeMeta(globals: Meta, own: Meta): Meta {
  const merged: Meta = { ...globals, ...own };
  if (globals.xattrs !== undefined && own.xattrs !== undefined) {
    merged.xattrs = new Map([...globals.xattrs, ...own.xattrs]);
  }
  return merged;
}
