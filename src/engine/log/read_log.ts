/**
 * Reading what a container has written, once or as it comes.
 *
 * @module
 */
import { fstatSync, type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { LOG_FILE } from "#runtime/log_frame.ts";
import { type FrameBuffer, type LogFrame, makeFrameBuffer, readFrames } from "./frames.ts";
import { closeLogFiles, type LogFile, openLogFile, openLogFiles } from "./log_files.ts";
import { findTail, LOG_BEGIN, type LogStart } from "./tail.ts";

/** What is wanted of a log. */
export interface ReadLogOptions {
  /** The last lines only; undefined: all. */
  readonly tailLines?: number | undefined;
  /** A file to begin with, which is closed in the end, and where in it: for whoever started the container. */
  readonly opened?: LogFile | undefined;
  readonly fromByte?: number | undefined;
  /** Go on until this resolves, and to the end of what was written by then. */
  readonly until?: Promise<unknown> | undefined;
  /** Stops at once. */
  readonly signal?: AbortSignal | undefined;
}

/** A look at the file is due at the latest after this: where there are no watches, it is what finds what has come. */
const LOOK_MS = 200;

/**
 * Reads a container's log, in pieces of some frames each; their bytes hold until the next piece is asked for.
 * @param directory The container's directory.
 */
export async function* readLog(directory: string, options: ReadLogOptions = {}): AsyncGenerator<LogFrame[]> {
  const files = options.opened === undefined ? openLogFiles(directory) : [options.opened];
  const watcher = options.until === undefined ? undefined : watchDirectory(directory, options.until, options.signal);
  try {
    const buffer = makeFrameBuffer();
    const position = yield* readPresent(files, buffer, options);
    if (watcher === undefined || position === undefined) return;
    yield* followFiles(directory, files, position, buffer, watcher);
  } finally {
    watcher?.close();
    closeLogFiles(files);
  }
}

/** Reads what is there. @returns Where the newest file was read to; undefined where there is none. */
function* readPresent(
  files: readonly LogFile[],
  buffer: FrameBuffer,
  { tailLines, fromByte }: ReadLogOptions,
): Generator<LogFrame[], number | undefined> {
  const newest = files.length - 1;
  if (newest < 0) return undefined;
  if (fromByte !== undefined) return yield* readFile(files[newest]!, fromByte, buffer);
  // what comes after this look is shown whatever the tail says
  const sizes = files.map(({ fd }) => fstatSync(fd).size);
  const start = tailLines === undefined ? LOG_BEGIN : findTail(files, tailLines);
  const first = Math.min(newest, ...[...start.values()].map(({ file }) => file));
  let position = 0;
  for (let index = first; index <= newest; index++) {
    const places = [...start.values()].filter(({ file }) => file === index).map(({ at }) => at);
    position = index > first || places.length === 0 ? 0 : Math.min(...places);
    if (start.size === 0) position = sizes[index]!;
    for (;;) {
      const { frames, next, isBroken } = readFrames(files[index]!.fd, position, buffer);
      const shown = tailLines === undefined
        ? frames
        : frames.flatMap((frame) => cut(frame, index, start, sizes[index]!));
      if (shown.length > 0) yield shown;
      if (isBroken || next === position) break;
      position = next;
    }
  }
  return position;
}

/** The part of a frame that is behind where its stream begins. */
function cut(frame: LogFrame, file: number, start: LogStart, sizeBefore: number): LogFrame[] {
  if (frame.at >= sizeBefore) return [frame];
  const place = start.get(frame.stream);
  if (place === undefined || file < place.file || (file === place.file && frame.at < place.at)) return [];
  if (file > place.file || frame.at > place.at || place.byte === 0) return [frame];
  return [{ ...frame, bytes: frame.bytes.subarray(place.byte) }];
}

/** Reads a file from a place to its end. @returns Where that was. */
function* readFile(file: LogFile, from: number, buffer: FrameBuffer): Generator<LogFrame[], number> {
  let position = from;
  for (;;) {
    const { frames, next, isBroken } = readFrames(file.fd, position, buffer);
    if (frames.length > 0) yield frames;
    if (isBroken || next === position) return position;
    position = next;
  }
}

/** Reads what comes. */
async function* followFiles(
  directory: string,
  files: LogFile[],
  from: number,
  buffer: FrameBuffer,
  watcher: DirectoryWatch,
): AsyncGenerator<LogFrame[]> {
  let position = from;
  for (;;) {
    const isLast = watcher.isOver();
    const change = watcher.next();
    let current = files[files.length - 1]!;
    position = yield* readFile(current, position, buffer);
    for (const file of youngerThan(directory, current)) {
      // what came into the old one between the two looks
      yield* readFile(current, position, buffer);
      files.push(file);
      current = file;
      position = yield* readFile(current, 0, buffer);
    }
    if (isLast || watcher.isStopped()) return;
    await change;
  }
}

/** The files that were begun after this one, the oldest first; all of them, where it was thrown away. */
function youngerThan(directory: string, { inode }: LogFile): LogFile[] {
  const now = openLogFile(join(directory, LOG_FILE));
  if (now === undefined) return [];
  if (now.inode === inode) {
    closeLogFiles([now]);
    return [];
  }
  closeLogFiles([now]);
  const files = openLogFiles(directory);
  const known = files.findIndex((file) => file.inode === inode);
  const younger = files.slice(known + 1);
  closeLogFiles(files.slice(0, known + 1));
  return younger;
}

/** Tells when something may have come. */
interface DirectoryWatch {
  /** Resolves at the next change from now on, at the end, or after a while. */
  next(): Promise<void>;
  /** Whether nothing will come any more but what is there now. */
  isOver(): boolean;
  isStopped(): boolean;
  close(): void;
}

function watchDirectory(directory: string, until: Promise<unknown>, signal: AbortSignal | undefined): DirectoryWatch {
  let wake = () => {};
  let over = false;
  let hasChanged = false;
  const change = () => {
    hasChanged = true;
    wake();
  };
  const end = () => {
    over = true;
    change();
  };
  until.then(end, end);
  signal?.addEventListener("abort", change);
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, change);
    watcher.on("error", () => {});
  } catch {
    // no watches are left: looks have to do
  }
  return {
    next() {
      hasChanged = false;
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (hasChanged || over || signal?.aborted) wake();
      });
    },
    isOver: () => over,
    isStopped: () => signal?.aborted ?? false,
    close() {
      wake();
      watcher?.close();
      signal?.removeEventListener("abort", change);
    },
  };
}
