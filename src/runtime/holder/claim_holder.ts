/**
 * Making the holder. Of several processes that find none, one makes it; the others hold a namespace of their own as long as they
 * need it, since waiting would take as long. A claim that ends before {@linkcode HolderClaim.publish}, or whose process is
 * killed, leaves nothing but an unfinished record, over which the next one writes.
 *
 * @module
 */
import { addressOf, cString } from "#ffi/mod.ts";
import { type Fd, type Pid, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR, O_TRUNC, writeAll } from "#linux/file.ts";
import { readStartTime } from "#linux/proc.ts";
import { tryLock } from "#storage/flock.ts";
import { closeHolder, holderDirectory, openHolder, recordText } from "./holder_record.ts";

/** The right to make the holder. */
export interface HolderClaim {
  /** The record, for the process that will be the holder. */
  readonly record: Fd;
  /** Makes it known; its ids are mapped. @returns Whether it may stay. */
  publish(pid: Pid): boolean;
  /** Gives the right back. */
  [Symbol.dispose](): void;
}

/**
 * Claims the making of a holder. Undefined where somebody else is at it or has done it, where it cannot be written down, and in
 * a job of a batch system, which would end it with the job.
 */
export function claimHolder(runRoot: string, name: string): HolderClaim | undefined {
  if (process.env["SLURM_JOB_ID"] !== undefined) return undefined;
  const directory = holderDirectory(runRoot);
  const folder = cString(directory);
  // mostly it is there
  tryCall("mkdirat", AT_FDCWD, addressOf(folder), 0o700);
  const lock = openToWrite(`${directory}/lock`);
  if (lock === undefined) return undefined;
  const path = `${directory}/${name}`;
  const record = tryLock(lock) === "locked" && !isThere(runRoot, name)
    ? openToWrite(`${path}.new`, O_TRUNC)
    : undefined;
  if (record === undefined) {
    close(lock);
    return undefined;
  }
  return {
    record,
    publish(pid) {
      const startTime = readStartTime(pid);
      if (startTime === undefined) return false;
      try {
        writeAll(record, new TextEncoder().encode(recordText(pid, startTime)));
      } catch {
        // a full disk
        return false;
      }
      const [from, to] = [cString(`${path}.new`), cString(path)];
      return tryCall("renameat2", AT_FDCWD, addressOf(from), AT_FDCWD, addressOf(to), 0) >= 0;
    },
    [Symbol.dispose]() {
      close(record);
      close(lock);
    },
  };
}

function isThere(runRoot: string, name: string): boolean {
  const found = openHolder(runRoot, name);
  if (found === undefined) return false;
  closeHolder(found);
  return true;
}

function openToWrite(path: string, flags = 0): Fd | undefined {
  const name = cString(path);
  const fd = tryCall("openat", AT_FDCWD, addressOf(name), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0o600);
  return fd < 0 ? undefined : fd as Fd;
}
