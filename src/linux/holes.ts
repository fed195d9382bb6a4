/**
 * Where a file has content, and where holes: lseek(2), SEEK_DATA and SEEK_HOLE.
 *
 * @module
 */
import { type Fd, tryCall } from "./call.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * The runs of content of an open file, in order.
 * @param most More runs than this are not listed.
 * @returns undefined where the file system does not tell, or where there are too many.
 */
export function findRuns(
  fd: Fd,
  sizeBytes: number,
  most: number,
): { offset: number; length: number }[] | undefined {
  const runs: { offset: number; length: number }[] = [];
  for (let at = 0; at < sizeBytes;) {
    const offset = tryCall("lseek", fd, at, SEEK_DATA);
    // ENXIO: nothing but a hole from here on
    if (offset === -6) return runs;
    const end = offset < 0 ? offset : tryCall("lseek", fd, offset, SEEK_HOLE);
    if (end < 0 || runs.length >= most) return undefined;
    if (offset >= sizeBytes) return runs;
    at = Math.min(end, sizeBytes);
    runs.push({ offset, length: at - offset });
  }
  return runs;
}
