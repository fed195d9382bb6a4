import { asBuffer, type ByteString, EMPTY_BYTES, fromBytes } from "./bytes.ts";
import { NO_XATTRS, type SparseRun, type TarEntry, type TarKind } from "./entry.ts";
import { TarError, type TarErrorCode } from "./error.ts";
import { decodeHeader, isZeroBlock, type RawHeader } from "./header.ts";
import { BLOCK, GNU_SPARSE, GNU_SPARSE_MORE, TYPE } from "./layout.ts";
import { interpretPax, mergeMeta, type Meta } from "./meta.ts";
import { findPathFault, findTargetFault } from "./name.ts";
import { MAX_ID, paddingOf, readNumber } from "./number.ts";
import { decodePax } from "./pax.ts";
import { findSparseFault, readGnuRuns, SPARSE_MAX_RUNS, SparseMapReader } from "./sparse.ts";

/** Largest extended header or long name. Go's reader has the same limit. */
export const META_MAX_BYTES = 1 << 20;

/** Who receives an archive's entries. All calls come from within `write`, in the archive's order; a throw ends the reading. */
export interface TarSink {
  /** A new entry. Its content, if it has any, comes next. */
  entry(entry: TarEntry): void;
  /** Content of the entry: `bytes` belong at `offsetBytes` of the file. They are a view of a chunk: use or copy them now. */
  data(bytes: Uint8Array, offsetBytes: number): void;
  /** The entry is complete. */
  end(): void;
}

/** What the next bytes are. */
type State =
  | "header"
  | "meta" // the content of an extended header or of a long name
  | "gnuSparseMore" // blocks that continue the map of a type S entry
  | "sparseMap" // the map in front of the content, form 1.0
  | "data"
  | "padding"
  | "lastBlock" // one block of zeros was seen
  | "after"; // both were seen

/**
 * Reads an archive that comes in chunks of any size: v7, ustar, GNU, pax and star. Nothing waits and nothing is copied
 * but headers that a chunk boundary cuts, so it costs 1.3 µs an entry, and next to nothing a byte.
 *
 *     header ─▶ meta ─▶ header …                       x, g, L, K: kept for the next entry
 *     header ─▶ [gnuSparseMore | sparseMap] ─▶ data ─▶ padding ─▶ header
 *     header (zeros) ─▶ lastBlock (zeros) ─▶ after     what follows is not looked at
 *
 * Where readers of archives are known to disagree, the archive is refused (`ambiguous`): and README.md.
 */
export class TarReader {
  readonly #sink: TarSink;
  #state: State = "header";
  /** Bytes of the archive before the chunk at hand. */
  #chunkOffset = 0;
  #headerOffset = 0;
  /** Header blocks that are cut by the end of a chunk are put together here. */
  readonly #block = new Uint8Array(BLOCK);
  #blockFilled = 0;

  #metaType = 0;
  #meta: Uint8Array = this.#block;
  #metaFilled = 0;

  #globals: Meta = {};
  #own: Meta | undefined;
  #longName: ByteString | undefined;
  #longLink: ByteString | undefined;

  /** The entry whose map or content is being read. */
  #entry: TarEntry | undefined;
  #sparseReader: SparseMapReader | undefined;
  #runs: SparseRun[] = [];
  #runIndex = 0;
  #dataLeft = 0;
  #dataOffset = 0;
  #packedSize = 0;
  #paddingLeft = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /**
   * Takes the next bytes of the archive and tells the sink what is in them.
   * @throws {TarError} When the archive is refused; the reader is of no use afterwards.
   */
  write(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk);
    const end = bytes.length;
    let at = 0;
    while (at < end) {
      switch (this.#state) {
        case "data":
          at = this.#takeData(bytes, at, end);
          break;
        case "padding": {
          const length = Math.min(this.#paddingLeft, end - at);
          this.#paddingLeft -= length;
          at += length;
          if (this.#paddingLeft === 0) this.#state = "header";
          break;
        }
        case "meta":
          at = this.#takeMeta(bytes, at, end);
          break;
        case "after":
          at = end;
          break;
        default: {
          // Everything else comes in whole blocks.
          if (this.#blockFilled === 0) this.#headerOffset = this.#chunkOffset + at;
          if (this.#blockFilled === 0 && end - at >= BLOCK) {
            this.#takeBlock(bytes, at);
            at += BLOCK;
          } else {
            const length = Math.min(BLOCK - this.#blockFilled, end - at);
            this.#block.set(bytes.subarray(at, at + length), this.#blockFilled);
            this.#blockFilled += length;
            at += length;
            if (this.#blockFilled === BLOCK) {
              this.#blockFilled = 0;
              this.#takeBlock(asBuffer(this.#block), 0);
            }
          }
        }
      }
    }
    this.#chunkOffset += end;
  }

  /**
   * Says that no more bytes come. Archives without their closing blocks are accepted, as they are by every engine.
   * @throws {TarError} truncated or empty.
   */
  finish(): void {
    const offset = this.#chunkOffset;
    if (offset === 0) throw new TarError("empty", "there is nothing in it, not even the closing blocks", undefined, 0);
    const between = this.#state === "header" || this.#state === "lastBlock" || this.#state === "padding";
    if (this.#state === "after" || (between && this.#blockFilled === 0 && !this.#hasPending())) return;
    throw new TarError("truncated", "the archive ends in the middle of it", this.#entry?.path, offset);
  }

  #hasPending(): boolean {
    return this.#own !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  #refuse(code: TarErrorCode, problem: string, path?: ByteString): never {
    throw new TarError(code, problem, path, this.#headerOffset);
  }

  #takeBlock(block: Uint8Array, at: number): void {
    switch (this.#state) {
      case "header":
        if (block[at] === 0 && isZeroBlock(block, at)) {
          if (this.#hasPending()) this.#refuse("truncated", "an extended header is followed by no entry");
          this.#state = "lastBlock";
        } else this.#takeHeader(block, at);
        break;
      case "lastBlock":
        // GNU tar and Python stop at one block of zeros, Go does not: what follows would be seen by some only.
        if (!isZeroBlock(block, at)) this.#refuse("ambiguous", "a single block of zeros stands before an entry");
        this.#state = "after";
        break;
      case "gnuSparseMore":
        this.#takeGnuRuns(block, at, GNU_SPARSE_MORE.map, block[at + GNU_SPARSE_MORE.isExtended[0]] !== 0);
        break;
      case "sparseMap":
        this.#takeSparseMap(block, at);
        break;
      default:
        throw new Error(`Unexpected block in state ${this.#state}`);
    }
  }

  #takeHeader(block: Uint8Array, at: number): void {
    this.#entry = undefined;
    const raw = decodeHeader(block, at, this.#headerOffset);
    switch (raw.type) {
      case TYPE.pax:
      case TYPE.paxSolaris:
      case TYPE.paxGlobal:
      case TYPE.gnuLongLink:
      case TYPE.gnuLongName:
        return this.#beginMeta(raw);
      case TYPE.gnuVolume:
        if (raw.sizeBytes !== 0) this.#refuse("size", "a volume label has content", raw.path);
        if (this.#hasPending()) this.#refuse("pax", "an extended header is followed by a volume label", raw.path);
        return;
      default:
        return this.#beginEntry(raw, block, at);
    }
  }

  #beginMeta(raw: RawHeader): void {
    const { sizeBytes, path, type } = raw;
    if (sizeBytes < 0) this.#refuse("number", "the size is negative", path);
    if (sizeBytes > META_MAX_BYTES) {
      this.#refuse("limit", `an extended header of ${sizeBytes} bytes is more than ${META_MAX_BYTES}`, path);
    }
    if (type !== TYPE.paxGlobal) {
      const before = type === TYPE.gnuLongName
        ? this.#longName
        : type === TYPE.gnuLongLink
        ? this.#longLink
        : this.#own;
      if (before !== undefined) {
        this.#refuse("ambiguous", "two extended headers of one kind stand before an entry", path);
      }
    }
    this.#metaType = type;
    this.#meta = new Uint8Array(sizeBytes);
    this.#metaFilled = 0;
    this.#paddingLeft = paddingOf(sizeBytes);
    this.#state = "meta";
    if (sizeBytes === 0) this.#endMeta();
  }

  #takeMeta(bytes: Uint8Array, at: number, end: number): number {
    const length = Math.min(this.#meta.length - this.#metaFilled, end - at);
    this.#meta.set(bytes.subarray(at, at + length), this.#metaFilled);
    this.#metaFilled += length;
    if (this.#metaFilled === this.#meta.length) this.#endMeta();
    return at + length;
  }

  #endMeta(): void {
    const bytes = this.#meta;
    this.#meta = this.#block;
    this.#state = this.#paddingLeft > 0 ? "padding" : "header";
    switch (this.#metaType) {
      case TYPE.gnuLongName:
        this.#longName = this.#readLong(bytes);
        return;
      case TYPE.gnuLongLink:
        this.#longLink = this.#readLong(bytes);
        return;
    }
    const records = decodePax(bytes);
    if (typeof records === "string") this.#refuse("pax", records);
    const isGlobal = this.#metaType === TYPE.paxGlobal;
    const meta = interpretPax(records, isGlobal ? "global" : "entry");
    if (typeof meta === "string") this.#refuse("pax", meta);
    if (isGlobal) this.#globals = mergeMeta(this.#globals, meta);
    else this.#own = meta;
  }

  /** GNU's long names end with a NUL that counts as content; one in the middle is for nobody to guess at. */
  #readLong(bytes: Uint8Array): ByteString {
    let end = bytes.length;
    while (end > 0 && bytes[end - 1] === 0) end--;
    const name = fromBytes(bytes, 0, end);
    if (name === "" || name.includes("\0")) this.#refuse("name", "a long name is empty or holds a NUL byte", name);
    return name;
  }

  #beginEntry(raw: RawHeader, block: Uint8Array, at: number): void {
    const own = this.#own;
    const meta = own === undefined ? this.#globals : mergeMeta(this.#globals, own);
    const longName = this.#longName;
    const longLink = this.#longLink;
    this.#own = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    if (
      (longName !== undefined && meta.path !== undefined) || (longLink !== undefined && meta.linkPath !== undefined)
    ) {
      this.#refuse("ambiguous", "its name is given by both a pax and a GNU header", meta.path);
    }
    const named = meta.path ?? longName ?? raw.path;
    const path = stripSlashes(named);
    const kind = this.#kindOf(raw, named, path);
    const isLink = kind === "hardlink" || kind === "symlink";
    const linkPath = isLink ? meta.linkPath ?? longLink ?? raw.linkPath : EMPTY_BYTES;
    this.#checkNames(path, kind, linkPath);
    const isDevice = kind === "char" || kind === "block";
    this.#checkNumbers(raw, isDevice, path);
    const packedSize = this.#sizeOf(raw, meta, kind, path);
    const entry: TarEntry = {
      path,
      kind,
      linkPath,
      mode: raw.mode & 0o7777, // some writers put the file type's bits there too
      uid: meta.uid ?? raw.uid,
      gid: meta.gid ?? raw.gid,
      userName: meta.userName ?? raw.userName,
      groupName: meta.groupName ?? raw.groupName,
      sizeBytes: packedSize,
      mtimeSeconds: meta.mtime === undefined ? raw.mtimeSeconds : meta.mtime.seconds,
      mtimeNanoseconds: meta.mtime === undefined ? 0 : meta.mtime.nanoseconds,
      deviceMajor: isDevice ? raw.deviceMajor : 0,
      deviceMinor: isDevice ? raw.deviceMinor : 0,
      xattrs: meta.xattrs ?? NO_XATTRS,
      sparse: undefined,
    };
    this.#entry = entry;
    this.#packedSize = packedSize;
    this.#paddingLeft = paddingOf(packedSize);
    if (raw.type === TYPE.gnuSparse) {
      if (meta.sparse !== undefined) this.#refuse("ambiguous", "its sparse map is given twice", path);
      const realSize = readNumber(block, at, GNU_SPARSE.realSize);
      this.#entry = { ...entry, sizeBytes: realSize };
      this.#runs = [];
      this.#takeGnuRuns(block, at, GNU_SPARSE.map, block[at + GNU_SPARSE.isExtended[0]] !== 0);
    } else if (meta.sparse !== undefined) {
      if (kind !== "file") this.#refuse("sparse", "it has a sparse map but is no file", path);
      this.#entry = { ...entry, sizeBytes: meta.sparse.realSize };
      if (meta.sparse.form === "map") this.#beginSparse(meta.sparse.runs, packedSize);
      else {
        this.#sparseReader = new SparseMapReader();
        this.#state = "sparseMap";
      }
    } else {
      this.#sink.entry(entry);
      this.#beginData(packedSize);
    }
  }

  #kindOf(raw: RawHeader, named: ByteString, path: ByteString): TarKind {
    switch (raw.type) {
      case TYPE.fileV7:
        // v7 had no type for directories: the slash at the end says it.
        return named.endsWith("/") ? "directory" : "file";
      case TYPE.file:
      case TYPE.contiguous:
        // GNU tar makes a directory of it, Go and Python a file.
        if (named.endsWith("/")) this.#refuse("ambiguous", "it is a file whose name ends with a slash", path);
        return "file";
      case TYPE.gnuSparse:
        return "file";
      case TYPE.hardLink:
        return "hardlink";
      case TYPE.symlink:
        return "symlink";
      case TYPE.char:
        return "char";
      case TYPE.block:
        return "block";
      case TYPE.directory:
        return "directory";
      case TYPE.fifo:
        return "fifo";
      default: {
        const shown = raw.type > 0x20 && raw.type < 0x7f ? `'${String.fromCharCode(raw.type)}'` : String(raw.type);
        return this.#refuse("type", `its type ${shown} isn't known`, path);
      }
    }
  }

  #checkNames(path: ByteString, kind: TarKind, linkPath: ByteString): void {
    const fault = findPathFault(path);
    if (fault !== undefined) this.#refuse("name", fault, path);
    if (kind !== "hardlink" && kind !== "symlink") return;
    const targetFault = kind === "hardlink" ? findPathFault(linkPath) : findTargetFault(linkPath);
    if (targetFault !== undefined) this.#refuse("name", `its link's target: ${targetFault}`, path);
  }

  #checkNumbers(raw: RawHeader, isDevice: boolean, path: ByteString): void {
    if (raw.mode < 0) this.#refuse("number", `its mode ${raw.mode} is negative`, path);
    if (raw.uid < 0 || raw.uid > MAX_ID) this.#refuse("number", `its uid ${raw.uid} is no user id`, path);
    if (raw.gid < 0 || raw.gid > MAX_ID) this.#refuse("number", `its gid ${raw.gid} is no group id`, path);
    if (!isDevice) return;
    for (const number of [raw.deviceMajor, raw.deviceMinor]) {
      // Also false for NaN.
      if (!(number >= 0 && number <= 0xffff_ffff)) this.#refuse("number", "its device number is none", path);
    }
  }

  /** The bytes that the archive holds for the entry: the pax record wins over the header, and is this entry's only. */
  #sizeOf(raw: RawHeader, meta: Meta, kind: TarKind, path: ByteString): number {
    const size = meta.sizeBytes ?? raw.sizeBytes;
    if (size < 0) this.#refuse("number", "its size is negative", path);
    if (kind === "file") return size;
    // Old tars wrote the file's size into the header of a hard link; no reader takes it for content.
    if (size === 0 || (kind === "hardlink" && meta.sizeBytes === undefined)) return 0;
    return this.#refuse(
      "ambiguous",
      `it is a ${kind} of ${size} bytes; readers disagree whether content follows`,
      path,
    );
  }

  #takeGnuRuns(block: Uint8Array, at: number, field: readonly [number, number], isExtended: boolean): void {
    if (!readGnuRuns(block, at, field, this.#runs)) {
      this.#refuse("sparse", "the sparse map holds something that is no sensible number", this.#entry?.path);
    }
    if (this.#runs.length > SPARSE_MAX_RUNS) {
      this.#refuse("limit", `more than ${SPARSE_MAX_RUNS} runs of a sparse file`, this.#entry?.path);
    }
    if (isExtended) this.#state = "gnuSparseMore";
    else this.#beginSparse(this.#runs, this.#packedSize);
  }

  #takeSparseMap(block: Uint8Array, at: number): void {
    const reader = this.#sparseReader!;
    const runs = reader.push(block, at);
    if (runs === "wrong" || reader.mapBytes > this.#packedSize + paddingOf(this.#packedSize)) {
      this.#refuse("sparse", "the map in front of its content is none", this.#entry?.path);
    }
    if (runs !== undefined) this.#beginSparse(runs, this.#packedSize - reader.mapBytes);
  }

  #beginSparse(runs: SparseRun[], packedSize: number): void {
    const entry = this.#entry!;
    const fault = findSparseFault(runs, entry.sizeBytes, packedSize);
    if (fault !== undefined) this.#refuse("sparse", fault, entry.path);
    this.#entry = { ...entry, sparse: runs.filter((run) => run.length > 0) };
    this.#sparseReader = undefined;
    this.#runs = [...this.#entry.sparse!];
    this.#sink.entry(this.#entry);
    this.#beginData(packedSize);
  }

  #beginData(packedSize: number): void {
    this.#dataLeft = packedSize;
    this.#dataOffset = 0;
    this.#runIndex = 0;
    if (packedSize === 0) this.#endEntry();
    else this.#state = "data";
  }

  #takeData(bytes: Uint8Array, at: number, end: number): number {
    const sparse = this.#entry!.sparse;
    let length = Math.min(this.#dataLeft, end - at);
    if (sparse === undefined) {
      this.#sink.data(length === bytes.length ? bytes : bytes.subarray(at, at + length), this.#dataOffset);
      this.#dataOffset += length;
    } else {
      const run = this.#runs[this.#runIndex]!;
      length = Math.min(length, run.length - this.#dataOffset); // within a run, dataOffset counts from its start
      this.#sink.data(bytes.subarray(at, at + length), run.offset + this.#dataOffset);
      this.#dataOffset += length;
      if (this.#dataOffset === run.length) {
        this.#runIndex++;
        this.#dataOffset = 0;
      }
    }
    this.#dataLeft -= length;
    if (this.#dataLeft === 0) this.#endEntry();
    return at + length;
  }

  #endEntry(): void {
    this.#state = this.#paddingLeft > 0 ? "padding" : "header";
    this.#sink.end();
  }
}

/** Without the slashes at the end; `/` itself stays one. */
function stripSlashes(path: ByteString): ByteString {
  if (!path.endsWith("/")) return path;
  let end = path.length;
  while (end > 1 && path.charCodeAt(end - 1) === 0x2f) end--;
  return path.slice(0, end) as ByteString;
}
