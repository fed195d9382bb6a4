/**
 * flock(2) on descriptors that node:fs opened, without waiting: a wait in the kernel would stop every timer and every
 * download of this process.
 *
 * @module
 */
import { tryCall } from "#linux/call.ts";
import { errnoName } from "#linux/errno.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

/** locked: ours until the descriptor is closed. busy: somebody else's. unsupported: this file system has no locks. */
export type LockResult = "locked" | "busy" | "unsupported";

/** Tries to take the exclusive lock of an open file. */
export type TryLock = (fd: number) => LockResult;

/** {@linkcode TryLock} by the kernel. ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL come from NFS without a lock service and the like. */
export function tryLock(fd: number): LockResult {
  for (;;) {
    const result = tryCall("flock", fd, LOCK_EX | LOCK_NB);
    if (result >= 0) return "locked";
    const code = errnoName(-result);
    if (code === "EINTR") continue;
    return code === "EAGAIN" ? "busy" : "unsupported";
  }
}
