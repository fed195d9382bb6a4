import { existsSync } from "node:fs";
import { readStartTime } from "#linux/proc.ts";
import { endIfIdle } from "#network/bring_up.ts";
import { type Holder, networkDirectory, withNetworkLock } from "#network/holder.ts";
import { readState } from "../record/state.ts";

/**
 * Ends what networks stand on behind the stack, unless a container has come meanwhile. Where the runtime directory has gone,
 * nobody finds it any more: the holder ends all the same, and nothing is made again.
 */
export async function endAfterStack(
  runRoot: string,
  { pid, startTime }: Pick<Holder, "pid" | "startTime">,
): Promise<void> {
  if (existsSync(networkDirectory(runRoot))) {
    const isRunning = (id: string) => readState({ runRoot }, id) !== undefined;
    await withNetworkLock(runRoot, () => endIfIdle({ runRoot, isRunning }));
  } else if (readStartTime(pid) === startTime) process.kill(pid, "SIGKILL");
}
