/**
 * What a container writes, shown to the caller while it is kept: by its log.
 *
 * @module
 */
import { writeLater } from "#ffi/mod.ts";
import type { Fd } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { delay } from "#storage/delay.ts";
import { readLog, type ReadLogOptions } from "../log/read_log.ts";

/** Where the streams are shown; undefined: not at all. */
export interface ShownStreams {
  readonly stdout: Fd | undefined;
  readonly stderr: Fd | undefined;
}

/**
 * Shows a container's output, as it comes, to the end that `options.until` tells.
 * @param lost Told where output is missing, since the disk was full.
 * @returns Whether somebody read all of it: `false` when a stream was closed by its reader.
 */
export async function showOutput(
  directory: string,
  options: ReadLogOptions,
  streams: ShownStreams,
  lost: (bytes: number) => void,
): Promise<boolean> {
  for await (const frames of readLog(directory, options)) {
    for (const { stream, bytes } of frames) {
      if (stream === "lost") {
        lost(Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)));
        continue;
      }
      const to = streams[stream];
      if (to !== undefined && !await writeWhole(to, bytes)) return false;
    }
  }
  return true;
}

const [EINTR, EAGAIN, EPIPE] = [-4, -11, -32];
/** A non-blocking pipe that is full is tried again after this. */
const FULL_MS = 5;

/** Writes all, without holding up anything else. @returns false where nobody reads any more. */
async function writeWhole(fd: Fd, bytes: Uint8Array): Promise<boolean> {
  for (let done = 0; done < bytes.length;) {
    const count = await writeLater(fd, bytes.subarray(done));
    if (count >= 0) done += count;
    else if (count === EPIPE) return false;
    else if (count === EAGAIN) await delay(FULL_MS);
    else if (count !== EINTR) throw new OsError({ call: "write", object: `descriptor ${fd}`, code: errnoName(-count) });
  }
  return true;
}
