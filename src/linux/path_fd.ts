/**
 * What an O_PATH descriptor cannot do by itself: opening the file for reading, changing its mode. Both go by the
 * descriptor and never by a name.
 *
 * @module
 */
import { type Fd, tryCall } from "./call.ts";
import { EINVAL, ENOSYS, EOPNOTSUPP } from "./errno_values.ts";
import { AT_EMPTY_PATH, AT_FDCWD } from "./file.ts";
import { putName, scratch } from "./scratch.ts";
import { openName } from "./tree.ts";

/** Changes the mode of what an O_PATH descriptor refers to, which must be no link. Result or minus errno. */
export function setModeOfPathFd(fd: Fd, mode: number): number {
  // fchmodat2(2), Linux 6.6; /proc before
  const result = tryCall("fchmodat2", fd, putName(scratch().nameA, ""), mode, AT_EMPTY_PATH);
  if (result !== -ENOSYS && result !== -EINVAL && result !== -EOPNOTSUPP) return result;
  return tryCall("fchmodat", AT_FDCWD, putName(scratch().nameA, `/proc/self/fd/${fd}`), mode);
}

/** Opens what an O_PATH descriptor refers to once more, with other flags. */
export function reopen(fd: Fd, flags: number): number {
  return openName(AT_FDCWD, `/proc/self/fd/${fd}`, flags);
}
