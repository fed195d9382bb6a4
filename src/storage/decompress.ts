/**
 * Layers as they come: plain, gzip (several members too) or zstd (several and skippable frames too), told apart by their
 * first bytes, since media types are wrong now and then (C-015, C-016).
 *
 * Decompression runs in the runtime's own threads; while it works on the next piece we handle the last one, so that the
 * slower of the two decides, and both cores are used.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { Transform } from "node:stream";
import { LayerError } from "./layer_error.ts";
import { type LayerLimits, limitError, RATIO_FREE_BYTES, ZSTD_MAX_WINDOW_LOG } from "./layer_limits.ts";
import { ZstdFrames } from "./zstd_frames.ts";

export type Compression = "none" | "gzip" | "zstd";

/** Pieces of this size come out: 64 KiB took a third longer, 1 MiB was no faster and needs more memory. */
const PIECE_BYTES = 262_144;
/** So many pieces may wait for us before the decompressor has to. */
const MAX_WAITING = 4;

/** What was read and what came out. */
export type Decompressed = { compression: Compression; compressedBytes: number; totalBytes: number };

/**
 * Reads `source` to its end and hands the uncompressed bytes to `sink`, in order, one call at a time.
 * @param source Chunks of the blob; each is used up before the next is asked for.
 * @param sink Gets views: to be used or copied within the call. What it throws ends everything, and is thrown.
 * @throws {LayerError} LAYER_CORRUPT, LAYER_UNSUPPORTED, LAYER_LIMIT; the signal's reason; what the source throws.
 */
export async function decompress(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  sink: (bytes: Uint8Array) => void,
  limits: LayerLimits,
  signal?: AbortSignal,
): Promise<Decompressed> {
  const result: Decompressed = { compression: "none", compressedBytes: 0, totalBytes: 0 };
  const count = (bytes: Uint8Array) => {
    result.totalBytes += bytes.length;
    checkLimits(result, limits);
    sink(bytes);
  };
  let stage: Stage | undefined;
  let first: Uint8Array = new Uint8Array(0);
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted();
      result.compressedBytes += chunk.length;
      if (stage !== undefined) await stage.write(chunk);
      else {
        first = first.length === 0 ? chunk.slice() : joined(first, chunk);
        if (first.length < 6) continue;
        stage = await makeStage(result.compression = detectCompression(first), count);
        await stage.write(first);
      }
    }
    signal?.throwIfAborted();
    if (stage === undefined) {
      // Five bytes or fewer are no archive in any form; the archive's reader says so.
      if (first.length > 0) count(first);
    } else await stage.finish();
  } catch (error) {
    stage?.abandon();
    throw error;
  }
  return result;
}

/**
 * What the first bytes (six or more) say.
 * @throws {LayerError} LAYER_UNSUPPORTED for bzip2, xz and lz4.
 */
export function detectCompression(first: Uint8Array): Compression {
  const starts = (...bytes: number[]) => bytes.every((byte, i) => first[i] === byte);
  if (starts(0x1f, 0x8b)) return "gzip";
  if (
    starts(0x28, 0xb5, 0x2f, 0xfd) || (first[0]! >> 4 === 5 && first[1] === 0x2a && starts(first[0]!, 0x2a, 0x4d, 0x18))
  ) {
    return "zstd";
  }
  const other = starts(0x42, 0x5a, 0x68)
    ? "bzip2"
    : starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)
    ? "xz"
    : starts(0x04, 0x22, 0x4d, 0x18)
    ? "lz4"
    : undefined;
  if (other === undefined) return "none";
  throw new LayerError("LAYER_UNSUPPORTED", `it is compressed with ${other}, and gzip, zstd and plain tar are known`, {
    hint: `Decompress it first ("${other} -d"), or save the image again with another compression`,
  });
}

function checkLimits({ totalBytes, compressedBytes }: Decompressed, limits: LayerLimits): void {
  if (totalBytes > limits.maxTotalBytes) {
    throw limitError("maxTotalBytes", `it has more than ${limits.maxTotalBytes} bytes when uncompressed`);
  }
  if (totalBytes > RATIO_FREE_BYTES && totalBytes > compressedBytes * limits.maxRatio) {
    throw limitError(
      "maxRatio",
      `${compressedBytes} compressed bytes have become ${totalBytes}, more than ${limits.maxRatio} for one: it looks like a bomb`,
    );
  }
}

/** A way from compressed to uncompressed bytes. */
interface Stage {
  /** Resolves when the chunk is used up and more may come. */
  write(chunk: Uint8Array): Promise<void>;
  /** Resolves when everything has reached the sink. */
  finish(): Promise<void>;
  abandon(): void;
}

async function makeStage(compression: Compression, sink: (bytes: Uint8Array) => void): Promise<Stage> {
  if (compression === "none") {
    return {
      write: (chunk) => Promise.resolve(sink(chunk)),
      finish: () => Promise.resolve(),
      abandon: () => {},
    };
  }
  // at the first layer: it costs a millisecond, and most commands unpack nothing
  const zlib = await import("node:zlib");
  if (compression === "gzip") return new StreamStage(zlib.createGunzip({ chunkSize: PIECE_BYTES }), "gzip", sink);
  const options = {
    chunkSize: PIECE_BYTES,
    params: { [zlib.constants.ZSTD_d_windowLogMax]: ZSTD_MAX_WINDOW_LOG },
  };
  return makeZstdStage(() => new StreamStage(zlib.createZstdDecompress(options), "zstd", sink));
}

/** Feeds frames to one decompressor after another, or to one for all, where it goes on behind a frame's end. */
function makeZstdStage(makeStream: () => StreamStage): Stage {
  let stream: StreamStage | undefined;
  let isAtStart = true;
  let goesOn: boolean | undefined;
  const frames = new ZstdFrames({
    async frame(bytes, isEnd) {
      if (isAtStart && stream !== undefined) {
        goesOn ??= await readsSeveralFrames();
        if (!goesOn) {
          await stream.finish();
          stream = undefined;
        }
      }
      isAtStart = isEnd;
      stream ??= makeStream();
      await stream.write(bytes);
    },
  });
  return {
    write: (chunk) => frames.write(chunk),
    async finish() {
      frames.finish();
      await stream?.finish();
    },
    abandon: () => stream?.abandon(),
  };
}

/** Two frames of one byte each, `a`: zstd's magic, single segment, size 1, a last raw block of 1. */
const TWO_FRAMES = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x01, 0x09, 0x00, 0x00, 0x61];

/** Whether the runtime's zstd stream reads on behind a frame's end: layers in zstd:chunked have a frame a file. */
async function readsSeveralFrames(): Promise<boolean> {
  const zlib = await import("node:zlib");
  let length = 0;
  const stream = new StreamStage(zlib.createZstdDecompress(), "zstd", (bytes) => void (length += bytes.length));
  try {
    await stream.write(Uint8Array.from([...TWO_FRAMES, ...TWO_FRAMES]));
    await stream.finish();
  } catch {
    return false;
  }
  return length === 2;
}

/** One of node:zlib's streams, with a queue behind it. */
class StreamStage implements Stage {
  readonly #stream: Transform;
  readonly #sink: (bytes: Uint8Array) => void;
  #waiting: Uint8Array[] = [];
  #isScheduled = false;
  #hasEnded = false;
  #error: unknown;
  #settle: { resolve: () => void; reject: (error: unknown) => void } | undefined;
  #isFinishing = false;

  constructor(stream: Transform, name: string, sink: (bytes: Uint8Array) => void) {
    this.#stream = stream;
    this.#sink = sink;
    stream.on("data", (piece: Buffer) => {
      this.#waiting.push(piece);
      if (this.#waiting.length >= MAX_WAITING) stream.pause();
      this.#schedule();
    });
    stream.on("end", () => {
      this.#hasEnded = true;
      this.#schedule();
    });
    stream.on("error", (error: Error) => {
      this.#fail(new LayerError("LAYER_CORRUPT", `its ${name} stream is broken: ${error.message}`, { cause: error }));
    });
  }

  write(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#settle = { resolve, reject };
      this.#stream.write(chunk, (error) => {
        // an error comes by its event as well, with the stream's own words
        if (!error && !this.#isFinishing) this.#settleWith();
      });
    });
  }

  finish(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#isFinishing = true;
      this.#settle = { resolve, reject };
      this.#stream.end();
    });
  }

  abandon(): void {
    this.#waiting = [];
    this.#error ??= new Error("abandoned");
    this.#stream.destroy();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Not at once: first the decompressor gets its next piece of work, and runs while we use this one.
    setImmediate(() => {
      this.#isScheduled = false;
      this.#useOne();
    });
  }

  #useOne(): void {
    if (this.#error !== undefined) return;
    const piece = this.#waiting.shift();
    try {
      if (piece !== undefined) this.#sink(piece);
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#waiting.length < MAX_WAITING / 2 && this.#stream.isPaused()) this.#stream.resume();
    if (this.#waiting.length > 0) this.#schedule();
    else if (this.#hasEnded) this.#settleWith();
  }

  #fail(error: unknown): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#waiting = [];
    this.#stream.destroy();
    this.#settle?.reject(error);
    this.#settle = undefined;
  }

  #settleWith(): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve();
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
