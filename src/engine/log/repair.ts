import { closeSync, fstatSync, ftruncateSync, openSync, renameSync, writeFileSync } from "node:fs";
import { makeFrameBuffer, makeFrameWindow, MOST_UNFINISHED_BYTES, readFrameBefore, readFrames } from "./frames.ts";

/**
 * Cuts off what a monitor that was killed left unfinished at the end of a log, so that what is appended can be read.
 * Mostly nothing is: then one look at the end is all. A log that is damaged further inside is put aside as `log.damaged`.
 * @returns The size of the log then.
 */
export function repairLog(path: string): number {
  const fd = openSync(path, "r+");
  try {
    const { size } = fstatSync(fd);
    if (size === 0 || readFrameBefore(fd, size, makeFrameWindow()) !== undefined) return size;
    const end = findEnd(fd);
    if (size - end <= MOST_UNFINISHED_BYTES) {
      ftruncateSync(fd, end);
      return end;
    }
  } finally {
    closeSync(fd);
  }
  renameSync(path, `${path}.damaged`);
  writeFileSync(path, "", { mode: 0o600 });
  return 0;
}

/** Where the last whole frame ends, from the front. */
function findEnd(fd: number): number {
  const buffer = makeFrameBuffer();
  for (let end = 0;;) {
    const { next, isBroken } = readFrames(fd, end, buffer);
    if (next === end || isBroken) return next;
    end = next;
  }
}
