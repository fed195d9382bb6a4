/**
 * Where the last lines of a log begin.
 *
 * @module
 */
import { fstatSync } from "node:fs";
import { type LogFrame, makeFrameWindow, readFrameBefore } from "./frames.ts";
import type { LogFile } from "./log_files.ts";

/** A place in a log: a frame of a file, and a byte in it. */
export interface LogPlace {
  /** Which of the files, the oldest being 0. */
  readonly file: number;
  readonly at: number;
  readonly byte: number;
}

/** Where each stream begins to be shown; a stream that is not there is not shown before the end. */
export type LogStart = ReadonlyMap<LogFrame["stream"], LogPlace>;

/** The start of all that there is. */
export const LOG_BEGIN: LogStart = new Map(
  (["stdout", "stderr", "lost"] as const).map((stream) => [stream, { file: 0, at: 0, byte: 0 }]),
);

const LF = 0x0a;

/**
 * Finds the last lines, of both streams together, in the order in which they ended. A line is whole wherever its pieces
 * lie, and what has no line feed yet is a line (C-080).
 */
export function findTail(files: readonly LogFile[], lines: number): LogStart {
  const starts = new Map<LogFrame["stream"], LogPlace>();
  /** Streams in the middle of a line that is shown, seen from the end. */
  const open = new Set<LogFrame["stream"]>();
  let left = lines;
  for (let file = files.length - 1; file >= 0; file--) {
    const { fd } = files[file]!;
    const window = makeFrameWindow();
    let end = fstatSync(fd).size;
    for (;;) {
      if (left === 0 && open.size === 0) return starts;
      const frame = readFrameBefore(fd, end, window);
      if (frame === undefined) break;
      end = frame.at;
      if (frame.stream === "lost") {
        if (left > 0) starts.set("lost", { file, at: frame.at, byte: 0 });
        continue;
      }
      if (left === 0 && !open.has(frame.stream)) continue;
      const { bytes } = frame;
      let byte = bytes.length;
      while (byte > 0) {
        const feed = bytes[byte - 1] === LF;
        if (feed || !open.has(frame.stream)) {
          // the end of a line, seen from behind
          if (left === 0) {
            open.delete(frame.stream);
            break;
          }
          left--;
          open.add(frame.stream);
          if (feed) byte--;
        }
        // to the line feed before it
        byte = byte === 0 ? 0 : bytes.lastIndexOf(LF, byte - 1) + 1;
        starts.set(frame.stream, { file, at: frame.at, byte });
      }
    }
  }
  return starts;
}
