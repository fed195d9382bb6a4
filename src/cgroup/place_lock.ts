import { tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";

/** Runs while no other process of ours divides this group. The lock is one of the directory, and goes with the process. */
export function withPlaceLock<T>(place: string, act: () => T): T {
  const LOCK_EX = 2;
  const fd = openAt(AT_FDCWD, place, O_RDONLY | O_DIRECTORY);
  try {
    tryCall("flock", fd, LOCK_EX);
    return act();
  } finally {
    close(fd);
  }
}
