/**
 * The frames of a zstd stream (RFC 8878 §3.1), found by their block headers without decompressing anything. The runtimes'
 * decompressors say nothing when a stream ends early, some stop at the first frame or at a skippable one, and a window of
 * 2 GB should be refused before it is allocated: all that is seen here.
 *
 * @module
 */
import { LayerError } from "./layer_error.ts";
import { ZSTD_MAX_WINDOW_LOG } from "./layer_limits.ts";

const MAGIC = 0xfd2fb528;
/** Skippable frames have one of the 16 magics from here on. */
const SKIPPABLE = 0x184d2a50;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;

/** Who is told of the frames' bytes. They are views: to be used before the promise resolves. */
export interface ZstdFrameSink {
  /** Bytes of the frame at hand, its header included; `isEnd` with its last ones. */
  frame(bytes: Uint8Array, isEnd: boolean): Promise<void>;
}

/** The longest start of a frame: magic, descriptor, window, dictionary id, content size. */
const HEADER_MAX = 4 + 1 + 1 + 4 + 8;

/**
 *     magic ─▶ descriptor ─▶ header ─▶ blockHeader ─▶ block ─▶ blockHeader … ─▶ [checksum] ─▶ magic
 *     magic ─▶ skippedSize ─▶ skipped ─▶ magic
 */
type State = "magic" | "descriptor" | "header" | "blockHeader" | "block" | "checksum" | "skippedSize" | "skipped";

/** Walks a stream that comes in chunks. */
export class ZstdFrames {
  readonly #sink: ZstdFrameSink;
  #state: State = "magic";
  /** Pieces of a fixed size, which a chunk boundary may cut. */
  readonly #piece = new Uint8Array(HEADER_MAX);
  #filled = 0;
  #wanted = 4;
  /** Of a block or a skipped frame. */
  #left = 0;
  #isLastBlock = false;
  #hasChecksum = false;

  constructor(sink: ZstdFrameSink) {
    this.#sink = sink;
  }

  /**
   * Takes the next bytes; resolves when the sink has taken them.
   * @throws {LayerError} When they are no zstd, or want a window above the limit.
   */
  async write(chunk: Uint8Array): Promise<void> {
    let start = 0; // of the blocks' bytes that have not been handed on
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === "block" || this.#state === "skipped") {
        const length = Math.min(this.#left, chunk.length - at);
        this.#left -= length;
        at += length;
        if (this.#left > 0) continue;
      } else {
        this.#piece[this.#filled++] = chunk[at++]!;
        if (this.#filled < this.#wanted) continue;
      }
      switch (this.#state) {
        case "magic":
          this.#takeMagic();
          break;
        case "descriptor":
          this.#takeDescriptor();
          break;
        case "header":
          this.#checkWindow();
          // Handed on from the piece, since the chunk may not have all of it.
          await this.#sink.frame(this.#piece.slice(0, this.#filled), false);
          this.#expect("blockHeader", 3);
          start = at;
          break;
        case "blockHeader":
          this.#takeBlockHeader();
          // An empty block has no body to wait for.
          if (this.#left === 0 && this.#endBlock()) start = await this.#endFrame(chunk, start, at);
          break;
        case "block":
          if (this.#endBlock()) start = await this.#endFrame(chunk, start, at);
          break;
        case "checksum":
          start = await this.#endFrame(chunk, start, at);
          break;
        case "skippedSize":
          this.#left = this.#readNumber(0, 4);
          if (this.#left === 0) this.#expect("magic", 4);
          else this.#state = "skipped";
          break;
        case "skipped":
          this.#expect("magic", 4);
          break;
      }
    }
    const isInBlocks = this.#state === "blockHeader" || this.#state === "block" || this.#state === "checksum";
    if (isInBlocks && start < at) await this.#sink.frame(chunk.subarray(start, at), false);
  }

  /** @throws {LayerError} When the stream ends inside of a frame. */
  finish(): void {
    if (this.#state !== "magic" || this.#filled > 0) throw corrupt("its zstd stream ends in the middle");
  }

  #expect(state: State, wanted: number): void {
    this.#state = state;
    this.#wanted = wanted;
    this.#filled = 0;
  }

  #readNumber(at: number, length: number): number {
    let value = 0;
    for (let i = at + length - 1; i >= at; i--) value = value * 256 + this.#piece[i]!;
    return value;
  }

  #takeMagic(): void {
    const magic = this.#readNumber(0, 4);
    if (magic === MAGIC) {
      this.#state = "descriptor";
      this.#wanted = 5;
    } else if (magic >= SKIPPABLE && magic < SKIPPABLE + 16) this.#expect("skippedSize", 4);
    else throw corrupt("something that is no zstd frame follows in its zstd stream");
  }

  #takeDescriptor(): void {
    const descriptor = this.#piece[4]!;
    if ((descriptor & 0x08) !== 0) throw corrupt("a zstd frame uses a reserved bit");
    this.#hasChecksum = (descriptor & 0x04) !== 0;
    const isSingle = (descriptor & 0x20) !== 0;
    const idSize = [0, 1, 2, 4][descriptor & 3]!;
    const contentSize = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
    this.#state = "header";
    this.#wanted = 5 + (isSingle ? 0 : 1) + idSize + contentSize;
  }

  #checkWindow(): void {
    const descriptor = this.#piece[4]!;
    let windowBytes: number;
    if ((descriptor & 0x20) === 0) {
      const window = this.#piece[5]!;
      const base = 2 ** (10 + (window >> 3));
      windowBytes = base + base / 8 * (window & 7);
    } else {
      // A single segment: the content is its own window.
      const idSize = [0, 1, 2, 4][descriptor & 3]!;
      windowBytes = this.#readNumber(5 + idSize, this.#filled - 5 - idSize) + (descriptor >> 6 === 1 ? 256 : 0);
    }
    if (windowBytes <= 2 ** ZSTD_MAX_WINDOW_LOG) return;
    throw new LayerError(
      "LAYER_LIMIT",
      `its zstd stream wants a window of ${Math.ceil(windowBytes / 2 ** 20)} MiB, more than 128`,
      { hint: "Compress it with --long=27 or less" },
    );
  }

  #takeBlockHeader(): void {
    const header = this.#readNumber(0, 3);
    const type = (header >> 1) & 3;
    if (type === BLOCK_RESERVED) throw corrupt("a block of its zstd stream has no known type");
    this.#isLastBlock = (header & 1) !== 0;
    this.#left = type === BLOCK_RLE ? 1 : header >> 3;
    this.#state = "block";
  }

  /** Goes on behind a block; true when the frame ends with it. */
  #endBlock(): boolean {
    if (!this.#isLastBlock) this.#expect("blockHeader", 3);
    else if (this.#hasChecksum) this.#expect("checksum", 4);
    else return true;
    return false;
  }

  async #endFrame(chunk: Uint8Array, start: number, at: number): Promise<number> {
    this.#expect("magic", 4);
    await this.#sink.frame(chunk.subarray(start, at), true);
    return at;
  }
}

function corrupt(problem: string): LayerError {
  return new LayerError("LAYER_CORRUPT", problem);
}
