import { asBuffer, type ByteString, EMPTY_BYTES, fromBytes } from "./bytes.ts";
import { TarError, type TarErrorCode } from "./error.ts";
import { BLOCK, type Field, HEADER, MAGIC, STAR } from "./layout.ts";
import { readNumber } from "./number.ts";

/** A header block as it stands, before extended headers change it. */
export type RawHeader = {
  type: number;
  path: ByteString;
  linkPath: ByteString;
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  mtimeSeconds: number;
  userName: ByteString;
  groupName: ByteString;
  /** NaN where the field holds no number: only devices mind. */
  deviceMajor: number;
  deviceMinor: number;
  isGnu: boolean;
};

/** Whether the block is all zeros: two of them end an archive. */
export function isZeroBlock(block: Uint8Array, at: number): boolean {
  for (let i = at; i < at + BLOCK; i++) if (block[i] !== 0) return false;
  return true;
}

/**
 * Reads the header block at `at`.
 * @param offsetBytes Where the block stands in the archive, for messages.
 * @throws {TarError} checksum or number.
 */
export function decodeHeader(block: Uint8Array, at: number, offsetBytes: number): RawHeader {
  checkSum(block, at, offsetBytes);
  const name = readText(block, at, HEADER.name);
  const magic = fromBytes(block, at + HEADER.magic[0], at + HEADER.version[0] + HEADER.version[1]);
  const isUstar = magic.startsWith(MAGIC.ustar);
  const isGnu = magic === MAGIC.gnu;
  let prefix = readText(block, at, isUstar && isStar(block, at) ? STAR.prefix : HEADER.prefix);
  // GNU keeps other things there. Python's tarfile takes them for a prefix; archives of the kind exist all the same.
  if (isGnu) prefix = EMPTY_BYTES;
  // GNU tar looks at the magic, Go at the version too, Python at neither.
  else if (prefix !== "" && magic !== `${MAGIC.ustar}00`) {
    throw makeError("ambiguous", "the prefix of its name stands in a header of another format", name, offsetBytes);
  }
  const path = (prefix === "" ? name : `${prefix}/${name}`) as ByteString;
  const read = (field: keyof typeof HEADER, fieldName: string): number => {
    const value = readNumber(block, at, HEADER[field]);
    if (!Number.isNaN(value)) return value;
    throw makeError("number", `the ${fieldName} in the header is no sensible number`, path, offsetBytes);
  };
  const hasNames = isUstar || isGnu;
  return {
    type: block[at + HEADER.type[0]]!,
    path,
    linkPath: readText(block, at, HEADER.linkName),
    mode: read("mode", "mode"),
    uid: read("uid", "uid"),
    gid: read("gid", "gid"),
    sizeBytes: read("size", "size"),
    mtimeSeconds: read("mtime", "time"),
    userName: hasNames ? readText(block, at, HEADER.userName) : EMPTY_BYTES,
    groupName: hasNames ? readText(block, at, HEADER.groupName) : EMPTY_BYTES,
    deviceMajor: hasNames ? readNumber(block, at, HEADER.deviceMajor) : 0,
    deviceMinor: hasNames ? readNumber(block, at, HEADER.deviceMinor) : 0,
    isGnu,
  };
}

/** The sum of the block's bytes with the checksum's own field as blanks; old tars summed signed bytes. */
export function sumBlock(block: Uint8Array, at: number): { unsigned: number; signed: number } {
  let unsigned = 0;
  let high = 0;
  for (let i = at; i < at + BLOCK; i++) {
    const byte = block[i]!;
    unsigned += byte;
    high += byte >> 7;
  }
  const [start, length] = HEADER.checksum;
  for (let i = at + start; i < at + start + length; i++) {
    unsigned += 0x20 - block[i]!;
    high -= block[i]! >> 7;
  }
  return { unsigned, signed: unsigned - 256 * high };
}

function checkSum(block: Uint8Array, at: number, offsetBytes: number): void {
  const wanted = readNumber(block, at, HEADER.checksum);
  const { unsigned, signed } = sumBlock(block, at);
  if (wanted !== unsigned && wanted !== signed) {
    throw makeError("checksum", "this is no tar header (its checksum is wrong)", undefined, offsetBytes);
  }
}

function isStar(block: Uint8Array, at: number): boolean {
  return fromBytes(block, at + STAR.trailer[0], at + STAR.trailer[0] + STAR.trailer[1]) === "tar\0";
}

/** A text field: up to the first NUL, or all of it. */
function readText(block: Uint8Array, at: number, field: Field): ByteString {
  const start = at + field[0];
  let end = start;
  while (end < start + field[1] && block[end] !== 0) end++;
  return start === end ? EMPTY_BYTES : asBuffer(block).toString("latin1", start, end) as ByteString;
}

function makeError(code: TarErrorCode, problem: string, path: ByteString | undefined, offsetBytes: number): TarError {
  return new TarError(code, problem, path, offsetBytes);
}
