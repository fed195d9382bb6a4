import type { Fd } from "#linux/call.ts";
import { pidOf } from "#linux/pidfd.ts";
import { readSignalMasks } from "#linux/proc.ts";
import { SIGNALS } from "#linux/signals.ts";

/**
 * Says at the second Ctrl-C why nothing happens: the kernel gives the first process of a pid namespace only those signals
 * that it handles (pid_namespaces(7)), and many programs leave SIGINT to its default (C-078).
 * @param process A pidfd of the container's first process.
 * @param detaches Whether there are keys that leave it.
 * @param tell Gets the line.
 * @returns To be called at each Ctrl-C.
 */
export function makeInterruptHint(process: Fd, detaches: boolean, tell: (line: string) => void): () => void {
  let count = 0;
  return () => {
    if (++count !== 2 || takesInterrupts(process)) return;
    tell(
      'the container\'s first program does not handle SIGINT, and as process 1 does not get it then: "dugout kill" ends it' +
        `${detaches ? ", the detach keys leave it" : ""}; with --init it would have ended`,
    );
  };
}

/** Whether a signal handler, or the one who waits for blocked signals, gets it. Also where nobody can say. */
function takesInterrupts(process: Fd): boolean {
  const pid = pidOf(process);
  const masks = pid === undefined ? undefined : readSignalMasks(pid);
  if (masks === undefined) return true;
  return ((masks.caught | masks.blocked) >> BigInt(SIGNALS.INT - 1) & 1n) === 1n;
}
