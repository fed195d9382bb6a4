import { asBuffer, type ByteString, fromText, toBytes, toText } from "./bytes.ts";
import { makeEntry, type SparseRun, type TarEntry, type TarKind } from "./entry.ts";
import { TarError } from "./error.ts";
import { sumBlock } from "./header.ts";
import { BLOCK, type Field, HEADER, TYPE } from "./layout.ts";
import { findPathFault, findTargetFault, XATTR_NAME_MAX_BYTES, XATTR_VALUE_MAX_BYTES } from "./name.ts";
import { fitsOctal, MAX_ID, paddingOf, spellTime, writeOctal } from "./number.ts";
import { encodePax, type PaxRecord } from "./pax.ts";
import { findSparseFault } from "./sparse.ts";

/** Two blocks of zeros end an archive. */
export const TRAILER: Uint8Array = new Uint8Array(2 * BLOCK);

const ZEROS = new Uint8Array(BLOCK);

/** The zeros that follow content of that size. */
export function paddingFor(sizeBytes: number): Uint8Array {
  return ZEROS.subarray(0, paddingOf(sizeBytes));
}

const TYPE_OF: Readonly<Record<TarKind, number>> = {
  file: TYPE.file,
  hardlink: TYPE.hardLink,
  symlink: TYPE.symlink,
  char: TYPE.char,
  block: TYPE.block,
  directory: TYPE.directory,
  fifo: TYPE.fifo,
};

/**
 * Writes the header of an entry: one ustar block, and in front of it a pax header with just what ustar cannot hold
 * (long or fine values, attributes). The same entry always gives the same bytes. Content of `sizeBytes` and
 * `paddingFor(sizeBytes)` follow; a sparse file is written as a whole one.
 * @throws {TarError} number, name, size or limit, when a value fits no format; nothing is cut or wrapped.
 */
export function encodeHeader(entry: TarEntry): Uint8Array {
  return encodeEntry(entry, []);
}

function encodeEntry(entry: TarEntry, records: PaxRecord[]): Uint8Array {
  checkEntry(entry);
  const block = asBuffer(new Uint8Array(BLOCK));
  const add = (key: string, value: ByteString) => records.push({ key: key as ByteString, value: toBytes(value) });
  const addNumber = (key: string, field: Field, value: number) => {
    if (fitsOctal(value, field)) return writeOctal(block, field, value);
    add(key, String(value) as ByteString);
    writeOctal(block, field, 0); // the record wins; a reader that knows no pax gets root, or nothing
  };

  const path = (entry.kind === "directory" && entry.path !== "/" ? `${entry.path}/` : entry.path) as ByteString;
  if (!writePath(block, path)) {
    add("path", path);
    writeText(block, HEADER.name, path.slice(0, HEADER.name[1]) as ByteString);
  }
  if (!writeText(block, HEADER.linkName, entry.linkPath)) add("linkpath", entry.linkPath);
  writeOctal(block, HEADER.mode, entry.mode);
  addNumber("uid", HEADER.uid, entry.uid);
  addNumber("gid", HEADER.gid, entry.gid);
  addNumber("size", HEADER.size, entry.sizeBytes);
  if (entry.mtimeNanoseconds === 0 && fitsOctal(entry.mtimeSeconds, HEADER.mtime)) {
    writeOctal(block, HEADER.mtime, entry.mtimeSeconds);
  } else {
    add("mtime", spellTime(entry.mtimeSeconds, entry.mtimeNanoseconds) as ByteString);
    writeOctal(block, HEADER.mtime, fitsOctal(entry.mtimeSeconds, HEADER.mtime) ? entry.mtimeSeconds : 0);
  }
  if (!writeText(block, HEADER.userName, entry.userName)) add("uname", entry.userName);
  if (!writeText(block, HEADER.groupName, entry.groupName)) add("gname", entry.groupName);
  block[HEADER.type[0]] = TYPE_OF[entry.kind];
  block.write("ustar\x0000", HEADER.magic[0], "latin1");
  writeOctal(block, HEADER.deviceMajor, entry.deviceMajor);
  writeOctal(block, HEADER.deviceMinor, entry.deviceMinor);
  writeChecksum(block);

  for (const [name, value] of [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    records.push({ key: `SCHILY.xattr.${name}` as ByteString, value });
  }
  return records.length === 0 ? block : prependPax(records, block);
}

/**
 * The header of a file with holes, in GNU's form 1.0 (tar.info, "PAX Format, Version 1.0"): pax records, and the map in
 * front of the content. The bytes of the runs follow, one after the other, and padding. Only for archives whose reader is known:
 * many know no sparse files, and layers of images have none.
 * @throws {TarError} As `encodeHeader`; sparse when the runs are none.
 */
export function encodeSparseHeader(entry: TarEntry, runs: readonly SparseRun[]): Uint8Array {
  const packedSize = runs.reduce((sum, { length }) => sum + length, 0);
  const fault = findSparseFault(runs, entry.sizeBytes, packedSize);
  if (fault !== undefined) throw new TarError("sparse", fault, entry.path);
  const text = [runs.length, ...runs.flatMap(({ offset, length }) => [offset, length])].join("\n") + "\n";
  const mapBytes = text.length + paddingOf(text.length);
  const header = encodeEntry({ ...entry, sizeBytes: mapBytes + packedSize }, [
    { key: "GNU.sparse.major" as ByteString, value: toBytes("1" as ByteString) },
    { key: "GNU.sparse.minor" as ByteString, value: toBytes("0" as ByteString) },
    { key: "GNU.sparse.name" as ByteString, value: toBytes(entry.path) },
    { key: "GNU.sparse.realsize" as ByteString, value: toBytes(String(entry.sizeBytes) as ByteString) },
  ]);
  const bytes = new Uint8Array(header.length + mapBytes);
  bytes.set(header, 0);
  bytes.set(toBytes(text as ByteString), header.length);
  return bytes;
}

/** Writes an archive of entries and their content. Content must have exactly the size that its entry says. */
export async function* writeTar(
  members: AsyncIterable<TarMemberSource> | Iterable<TarMemberSource>,
): AsyncGenerator<Uint8Array> {
  for await (const { entry, content } of members) {
    yield encodeHeader(entry);
    let left = entry.sizeBytes;
    for await (const chunk of content ?? []) {
      left -= chunk.length;
      if (left < 0) throw new TarError("size", `its content is longer than ${entry.sizeBytes} bytes`, entry.path);
      yield chunk;
    }
    if (left > 0) throw new TarError("size", `its content lacks ${left} of ${entry.sizeBytes} bytes`, entry.path);
    if (entry.sizeBytes % BLOCK !== 0) yield paddingFor(entry.sizeBytes);
  }
  yield TRAILER;
}

/** What `writeTar` wants for each member. */
export type TarMemberSource = {
  readonly entry: TarEntry;
  readonly content?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
};

function checkEntry(entry: TarEntry): void {
  const refuse = (code: "number" | "name" | "size" | "limit", problem: string): never => {
    throw new TarError(code, problem, entry.path);
  };
  const fault = findPathFault(entry.path);
  if (fault !== undefined) refuse("name", fault);
  if (entry.path.endsWith("/") && entry.kind !== "directory") refuse("name", "the name ends with a slash");
  const isLink = entry.kind === "hardlink" || entry.kind === "symlink";
  const targetFault = !isLink
    ? entry.linkPath === "" ? undefined : "it is no link"
    : entry.kind === "hardlink"
    ? findPathFault(entry.linkPath)
    : findTargetFault(entry.linkPath);
  if (targetFault !== undefined) refuse("name", `its link's target: ${targetFault}`);
  for (const name of [entry.userName, entry.groupName]) {
    if (name.includes("\0")) refuse("name", "a user's or group's name holds a NUL byte");
  }
  const check = (what: string, value: number, least: number, most: number) => {
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      refuse("number", `its ${what} can't be ${value}`);
    }
  };
  check("mode", entry.mode, 0, 0o7777);
  check("uid", entry.uid, 0, MAX_ID);
  check("gid", entry.gid, 0, MAX_ID);
  check("size", entry.sizeBytes, 0, Number.MAX_SAFE_INTEGER);
  check("time", entry.mtimeSeconds, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  check("nanoseconds", entry.mtimeNanoseconds, 0, 999_999_999);
  // pax has no record for device numbers; Linux has 12 and 20 bits, the field 21.
  check("device number", entry.deviceMajor, 0, 0o7777777);
  check("device number", entry.deviceMinor, 0, 0o7777777);
  if (entry.sizeBytes !== 0 && entry.kind !== "file") refuse("size", `it is a ${entry.kind} and can't have content`);
  for (const [name, value] of entry.xattrs) {
    if (name === "" || name.includes("\0") || name.includes("=")) {
      refuse("name", "the name of an extended attribute is empty or holds NUL or `=`");
    }
    if (name.length > XATTR_NAME_MAX_BYTES || value.length > XATTR_VALUE_MAX_BYTES) {
      refuse("limit", "an extended attribute is longer than Linux allows");
    }
  }
}

/** Into name and prefix, which are joined by a slash; false when it fits no such split. */
function writePath(block: Uint8Array, path: ByteString): boolean {
  if (writeText(block, HEADER.name, path)) return true;
  if (path.length > HEADER.prefix[1] + 1 + HEADER.name[1]) return false;
  // The name may not be empty, so a slash at the very end is none to split at.
  const slash = path.lastIndexOf("/", Math.min(HEADER.prefix[1], path.length - 2));
  if (slash <= 0 || path.length - slash - 1 > HEADER.name[1]) return false;
  writeText(block, HEADER.prefix, path.slice(0, slash) as ByteString);
  writeText(block, HEADER.name, path.slice(slash + 1) as ByteString);
  return true;
}

/** Fills a text field; false, and nothing written, when it is too long. A full field needs no NUL. */
function writeText(block: Uint8Array, field: Field, text: ByteString): boolean {
  if (text.length > field[1]) return false;
  if (text.length > 0) asBuffer(block).write(text, field[0], "latin1");
  return true;
}

function writeChecksum(block: Uint8Array): void {
  const sum = sumBlock(block, 0).unsigned.toString(8).padStart(6, "0");
  asBuffer(block).write(`${sum}\0 `, HEADER.checksum[0], "latin1");
}

function prependPax(records: PaxRecord[], block: Uint8Array): Uint8Array {
  const isNamed = (key: string) => key === "path" || key === "linkpath" || key === "uname" || key === "gname";
  // pax(1): names are UTF-8 unless said otherwise.
  if (records.some(({ key, value }) => isNamed(key) && !isUtf8(value))) {
    records.unshift({ key: fromText("hdrcharset"), value: toBytes(fromText("BINARY")) });
  }
  const content = encodePax(records);
  const header = encodeHeader(makeEntry(fromText("././@PaxHeader"), "file", { sizeBytes: content.length }));
  header[HEADER.type[0]] = TYPE.pax;
  writeChecksum(header);
  const padding = paddingOf(content.length);
  const bytes = new Uint8Array(2 * BLOCK + content.length + padding);
  bytes.set(header, 0);
  bytes.set(content, BLOCK);
  bytes.set(block, BLOCK + content.length + padding);
  return bytes;
}

function isUtf8(value: Uint8Array): boolean {
  return toText(asBuffer(value).toString("latin1") as ByteString) !== undefined;
}
