/**
 * The steps of a monitor that append to the log: one piece of output becomes one frame. A piece that cannot be written
 * whole is cut off again and counted, and the container goes on.
 *
 * @module
 */
import { O_APPEND, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY, SEEK_END } from "#linux/file.ts";
import { compute, jumpTo, mark, operate, type Step, step, type TapeBuffer } from "#tape/step.ts";
import { LOG_CHUNK_BYTES, LOG_FILE, LOG_FRAME, LOG_STREAM, type LogLimits } from "./log_frame.ts";
import { CONTAINER_FD, LOG_FD } from "./monitor_fds.ts";

const CLOCK_REALTIME = 0;
const ENVELOPE_BYTES = LOG_FRAME.SIZE + LOG_FRAME.TRAILER;
const LOST_BYTES = ENVELOPE_BYTES + 8;

/** The buffer `frame` gets the bytes here. */
export const FRAME_DATA = { buffer: "frame", offset: LOG_FRAME.SIZE } as const;
/** Here stands which stream they are of: {@linkcode LOG_STREAM}. */
export const FRAME_STREAM = { buffer: "frame", offset: LOG_FRAME.stream } as const;

/** The buffers of {@linkcode openLogSteps} and {@linkcode appendSteps}. */
export function logBuffers(): [string, TapeBuffer][] {
  const lost = new Uint8Array(LOST_BYTES);
  const view = new DataView(lost.buffer);
  view.setUint32(LOG_FRAME.stream, LOG_STREAM.lost, true);
  view.setUint32(LOG_FRAME.length, 8, true);
  view.setUint32(LOG_FRAME.SIZE + 8, 8, true);
  return [
    ["log size", { sizeBytes: 8 }],
    ["lost frame", { sizeBytes: LOST_BYTES, bytes: lost }],
    ["frame", { sizeBytes: ENVELOPE_BYTES + LOG_CHUNK_BYTES }],
  ];
}

const LOST_COUNT = { buffer: "lost frame", offset: LOG_FRAME.SIZE } as const;

/** Finds out where the log ends. */
export function openLogSteps(): Step[] {
  return [
    step("lseek", [LOG_FD, 0, SEEK_END], "go to the end of", "the log", { id: "log end", ignore: true }),
    operate("store", [{ buffer: "log size" }, { result: "log end" }, 8], "note its size"),
  ];
}

/**
 * Appends the piece in `frame`.
 * @param length The id of the step whose result is its length.
 */
export function appendSteps(length: string, limits: LogLimits): Step[] {
  return [
    ...rotateSteps(limits),
    ...lostSteps(),
    step("clock_gettime", [CLOCK_REALTIME, { buffer: "frame" }], "note", "the time", { ignore: true }),
    operate("store", [{ buffer: "frame", offset: LOG_FRAME.length }, { result: length }, 4], "note the length"),
    compute("add", FRAME_DATA, { result: length }, "where the bytes end", { id: "frame end" }),
    operate("store", [{ result: "frame end" }, { result: length }, 4], "note the length behind them"),
    compute("add", { result: length }, ENVELOPE_BYTES, "the frame's size", { id: "frame size" }),
    step("write", [LOG_FD, { buffer: "frame" }, { result: "frame size" }], "append to", "the log", {
      id: "appended",
      retry: true,
      jump: { when: "error", to: "not appended" },
    }),
    compute("eq", { result: "appended" }, { result: "frame size" }, "is it all there", {
      jump: { when: "zero", to: "cut off" },
    }),
    ...grewSteps("frame size"),
    jumpTo("append end", "done"),
    mark("cut off", "a part of a frame cannot be read"),
    operate("load", [{ buffer: "log size" }, 0, 8], "its size before", { id: "size before" }),
    step("ftruncate", [LOG_FD, { result: "size before" }], "cut off the part in", "the log", { ignore: true }),
    mark("not appended", "the disk is full: what was read is lost"),
    operate("load", [LOST_COUNT, 0, 8], "how much was lost before", { id: "lost before" }),
    compute("add", { result: "lost before" }, { result: length }, "and now", { id: "lost now" }),
    operate("store", [LOST_COUNT, { result: "lost now" }, 8], "note how much is lost"),
    mark("append end", "go on"),
  ];
}

function grewSteps(bytes: string | number): Step[] {
  const id = `size with ${bytes}`;
  const more = typeof bytes === "number" ? bytes : { result: bytes };
  return [
    operate("load", [{ buffer: "log size" }, 0, 8], "the log's size", { id: `${id} before` }),
    compute("add", { result: `${id} before` }, more, "and now", { id }),
    operate("store", [{ buffer: "log size" }, { result: id }, 8], "note its size"),
  ];
}

/** Tells in the log how much is missing there, as soon as it can be told. */
function lostSteps(): Step[] {
  return [
    operate("load", [LOST_COUNT, 0, 8], "how much is lost", { id: "lost", jump: { when: "zero", to: "nothing lost" } }),
    step("clock_gettime", [CLOCK_REALTIME, { buffer: "lost frame" }], "note", "the time", { ignore: true }),
    step("write", [LOG_FD, { buffer: "lost frame" }, LOST_BYTES], "tell what is lost in", "the log", {
      id: "told",
      retry: true,
      jump: { when: "error", to: "not appended" },
    }),
    compute("eq", { result: "told" }, LOST_BYTES, "is it all there", { jump: { when: "zero", to: "cut off" } }),
    ...grewSteps(LOST_BYTES),
    operate("store", [LOST_COUNT, 0, 8], "nothing more is lost"),
    mark("nothing lost", "go on"),
  ];
}

/** Puts a log aside that is large enough. Where no new one can be made, the old one grows on. */
function rotateSteps({ maxBytes, maxFiles }: LogLimits): Step[] {
  if (maxBytes === undefined) return [];
  const older = Array.from({ length: maxFiles - 1 }, (_, index) => maxFiles - 1 - index);
  return [
    operate("load", [{ buffer: "log size" }, 0, 8], "the log's size", { id: "size" }),
    compute("less", { result: "size" }, maxBytes, "may it grow", { jump: { when: "nonzero", to: "no new log" } }),
    step(
      "openat",
      [CONTAINER_FD, `${LOG_FILE}.new`, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o644],
      "make",
      "another log",
      { id: "new log", jump: { when: "error", to: "no new log" } },
    ),
    ...older.map((number) => {
      const from = number === 1 ? LOG_FILE : `${LOG_FILE}.${number - 1}`;
      return step("renameat2", [CONTAINER_FD, from, CONTAINER_FD, `${LOG_FILE}.${number}`, 0], "put aside", from, {
        ignore: true,
      });
    }),
    step("renameat2", [CONTAINER_FD, `${LOG_FILE}.new`, CONTAINER_FD, LOG_FILE, 0], "put in place", "the log", {
      ignore: true,
    }),
    step("dup3", [{ result: "new log" }, LOG_FD, O_CLOEXEC], "use", "the log", { ignore: true }),
    step("close", [{ result: "new log" }], "close", "the log", { ignore: true }),
    operate("store", [{ buffer: "log size" }, 0, 8], "note its size"),
    mark("no new log", "go on"),
  ];
}
