import { closeSync, fstatSync, ftruncateSync, openSync } from "node:fs";
import { makeFrameBuffer, makeFrameWindow, MOST_UNFINISHED_BYTES, readFrameBefore, readFrames } from "./frames.ts";

/**
 * Cuts off what a monitor that was killed left unfinished at the end of a log, so that what is appended can be read.
 * Mostly nothing is: then one look at the end is all.
 * @returns The size of the log then.
 */
export function repairLog(path: string): number {
  const fd = openSync(path, "r+");
  try {
    const { size } = fstatSync(fd);
    if (size === 0 || readFrameBefore(fd, size, makeFrameWindow()) !== undefined) return size;
    // no frame ends there: the last whole one is found from the front
    const buffer = makeFrameBuffer();
    let end = 0;
    for (;;) {
      const { next, isBroken } = readFrames(fd, end, buffer);
      if (next === end || isBroken) {
        end = next;
        break;
      }
      end = next;
    }
    // more than that is no unfinished frame: it stays, for whoever can read it
    if (size - end <= MOST_UNFINISHED_BYTES) ftruncateSync(fd, end);
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}
