import { readlinkSync } from "node:fs";
import type { Fd } from "./call.ts";

/** What a JavaScript runtime opens for itself, at the lowest free numbers. */
const OWN = /^anon_inode:\[(?:eventpoll|eventfd|timerfd|io_uring|signalfd)\]$/;

/**
 * A descriptor that this process was started with; undefined where there is none of that number, or where it is the
 * runtime's own. Whether it closes on exec does not tell: Bun sets that on all at its start.
 */
export function inheritedFd(fd: number): Fd | undefined {
  try {
    return OWN.test(readlinkSync(`/proc/self/fd/${fd}`)) ? undefined : fd as Fd;
  } catch {
    return undefined;
  }
}
