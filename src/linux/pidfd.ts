/**
 * Descriptors of other processes: pidfd_open(2), pidfd_getfd(2).
 *
 * @module
 */
import { type Fd, type Pid, tryCall } from "./call.ts";
import { errnoName, OsError } from "./errno.ts";
import { close } from "./file.ts";
import { readProcFile } from "./proc.ts";

/**
 * A copy of a descriptor of another process, close-on-exec (Linux 5.6). That process has to be one that we may trace: our
 * own, or one in a user namespace of ours.
 * @param object Whose it is, for the error.
 * @throws {OsError} ESRCH when the process has ended, EBADF when it has no such descriptor, EPERM when it is not ours.
 */
export function takeDescriptor(pid: Pid, fd: number, object: string): Fd {
  const process = tryCall("pidfd_open", pid, 0);
  if (process < 0) throw new OsError({ call: "pidfd_open", object, code: errnoName(-process) });
  try {
    const copy = tryCall("pidfd_getfd", process, fd, 0);
    if (copy >= 0) return copy as Fd;
    const code = errnoName(-copy);
    const hint = code === "EPERM" ? "inside of another container its seccomp filter forbids it" : undefined;
    throw new OsError({ call: "pidfd_getfd", object, code, ...(hint === undefined ? {} : { hint }) });
  } finally {
    close(process as Fd);
  }
}

/** The process that a pidfd stands for (/proc/self/fdinfo, "Pid:"); undefined when it has ended, or is in no namespace that we see. */
export function pidOf(pidfd: Fd): number | undefined {
  const match = /^Pid:\s*([0-9]+)$/m.exec(readProcFile(`/proc/self/fdinfo/${pidfd}`) ?? "");
  const pid = Number(match?.[1] ?? 0);
  return pid > 0 ? pid : undefined;
}
