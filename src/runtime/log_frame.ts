/**
 * A container's log on disk: frames, one behind the other, as the monitor writes them. It can be read forwards and, by the
 * length at the end of each frame, backwards.
 *
 *     seconds s64 · nanoseconds s64 · stream u32 · length u32 · length bytes · length u32         all little-endian
 *
 * The times are CLOCK_REALTIME when the bytes were read, so they may go backwards. A frame is what one read gave: it may
 * hold many lines, or a part of one.
 *
 *     containers/ID/log          what is written to
 *     containers/ID/log.1, …     before it, the youngest first, where `max-file` says so
 *
 * @module
 */

/** Offsets in a frame's header, its size, and that of the length behind the bytes. */
export const LOG_FRAME = { seconds: 0, nanoseconds: 8, stream: 16, length: 20, SIZE: 24, TRAILER: 4 } as const;

/** What a frame's bytes are. */
export const LOG_STREAM = {
  stdout: 1,
  stderr: 2,
  /** A u64: so many bytes could not be written here, since the disk was full. */
  lost: 3,
} as const;

/** The most bytes in a frame. */
export const LOG_CHUNK_BYTES = 32768;

/** The file that is written to; those before it have `.1`, `.2` … behind the name. */
export const LOG_FILE = "log";

/** When logs are put aside, and how many of them are kept. */
export interface LogLimits {
  /** A log that has grown to this is put aside; undefined: never. */
  readonly maxBytes: number | undefined;
  /** How many files there are at most, the one that is written to included. */
  readonly maxFiles: number;
}
