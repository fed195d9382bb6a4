/**
 * The frames of one log file.
 *
 * @module
 */
import { readSync } from "node:fs";
import { allocate } from "#ffi/mod.ts";
import { LOG_CHUNK_BYTES, LOG_FRAME, LOG_STREAM } from "#runtime/log_frame.ts";

/** What was written at one time. */
export interface LogFrame {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly stream: "stdout" | "stderr" | "lost";
  /** A view: it holds until the next read. Of `lost`, the count. */
  readonly bytes: Uint8Array;
  /** Where it begins in its file. */
  readonly at: number;
}

const STREAMS = new Map<number, LogFrame["stream"]>(
  (["stdout", "stderr", "lost"] as const).map((name) => [LOG_STREAM[name], name]),
);
const ENVELOPE_BYTES = LOG_FRAME.SIZE + LOG_FRAME.TRAILER;
const LARGEST_BYTES = ENVELOPE_BYTES + LOG_CHUNK_BYTES;

/** How much is read at once: many small frames, or a few of the largest. */
const BLOCK_BYTES = 1 << 20;

/** A buffer for reading frames. */
export interface FrameBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Makes a buffer. */
export function makeFrameBuffer(): FrameBuffer {
  const bytes = allocate(BLOCK_BYTES);
  return { bytes, view: new DataView(bytes.buffer) };
}

/**
 * Reads the frames that begin at `at` and are whole.
 * @returns The frames, none at the end of the file, and where the next one begins. `isBroken`: what stands there can
 * never become a frame.
 */
export function readFrames(
  fd: number,
  at: number,
  buffer: FrameBuffer,
): { frames: LogFrame[]; next: number; isBroken: boolean } {
  const filled = readSync(fd, buffer.bytes, 0, BLOCK_BYTES, at);
  const frames: LogFrame[] = [];
  let offset = 0;
  while (offset + ENVELOPE_BYTES <= filled) {
    const frame = decodeFrame(buffer, offset, filled, at);
    if (frame === "broken") return { frames, next: at + offset, isBroken: true };
    if (frame === "partial") break;
    frames.push(frame);
    offset += ENVELOPE_BYTES + frame.bytes.length;
  }
  return { frames, next: at + offset, isBroken: false };
}

/**
 * Reads the frame that ends at `end`.
 * @returns Undefined where none does.
 */
export function readFrameBefore(fd: number, end: number, window: FrameWindow): LogFrame | undefined {
  if (end < ENVELOPE_BYTES) return undefined;
  if (end - window.start < ENVELOPE_BYTES || end > window.start + window.filled) fillWindow(fd, end, window);
  const { buffer } = window;
  const length = buffer.view.getUint32(end - window.start - LOG_FRAME.TRAILER, true);
  const at = end - ENVELOPE_BYTES - length;
  if (length === 0 || length > LOG_CHUNK_BYTES || at < 0) return undefined;
  if (at < window.start) fillWindow(fd, end, window);
  const frame = decodeFrame(buffer, at - window.start, end - window.start, window.start);
  return typeof frame === "string" ? undefined : frame;
}

/** A part of a file that is read backwards. */
export interface FrameWindow {
  readonly buffer: FrameBuffer;
  start: number;
  filled: number;
}

/** A window on nothing yet. */
export function makeFrameWindow(): FrameWindow {
  return { buffer: makeFrameBuffer(), start: 0, filled: 0 };
}

function fillWindow(fd: number, end: number, window: FrameWindow): void {
  window.start = Math.max(0, end - BLOCK_BYTES);
  window.filled = readSync(fd, window.buffer.bytes, 0, end - window.start, window.start);
}

function decodeFrame(
  { bytes, view }: FrameBuffer,
  offset: number,
  filled: number,
  base: number,
): LogFrame | "partial" | "broken" {
  const length = view.getUint32(offset + LOG_FRAME.length, true);
  const stream = STREAMS.get(view.getUint32(offset + LOG_FRAME.stream, true));
  const nanoseconds = view.getBigUint64(offset + LOG_FRAME.nanoseconds, true);
  if (stream === undefined || length === 0 || length > LOG_CHUNK_BYTES || nanoseconds > 999_999_999n) return "broken";
  const end = offset + LOG_FRAME.SIZE + length;
  if (end + LOG_FRAME.TRAILER > filled) return "partial";
  if (view.getUint32(end, true) !== length) return "broken";
  return {
    seconds: Number(view.getBigInt64(offset + LOG_FRAME.seconds, true)),
    nanoseconds: Number(nanoseconds),
    stream,
    bytes: bytes.subarray(offset + LOG_FRAME.SIZE, end),
    at: base + offset,
  };
}

/** The most bytes that an unfinished frame may have. */
export const MOST_UNFINISHED_BYTES: number = LARGEST_BYTES;
