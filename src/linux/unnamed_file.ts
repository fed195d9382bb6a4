/**
 * Files that get their name when all of them is there: open(2), O_TMPFILE. A process that is killed leaves nothing.
 *
 * @module
 */
import { type Fd, tryCall } from "./call.ts";
import { AT_FDCWD, AT_SYMLINK_FOLLOW, O_RDWR, O_TMPFILE } from "./file.ts";
import { putName, scratch } from "./scratch.ts";
import { openName } from "./tree.ts";

/** A file without a name in the file system of a directory; minus errno where that has none such (EOPNOTSUPP, EISDIR, EINVAL). */
export function openUnnamed(dir: Fd, mode: number): number {
  return openName(dir, ".", O_RDWR | O_TMPFILE, mode);
}

/** Gives it a name, by /proc since AT_EMPTY_PATH needs a capability of the machine's; EEXIST where there is one. */
export function nameFile(fd: Fd, dir: Fd, name: string): number {
  const { nameA, nameB } = scratch();
  const from = putName(nameB, `/proc/self/fd/${fd}`);
  return tryCall("linkat", AT_FDCWD, from, dir, putName(nameA, name), AT_SYMLINK_FOLLOW);
}
