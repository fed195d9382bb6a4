import { openEngine } from "#engine/engine.ts";
import { keep } from "#engine/keeper/keep.ts";
import { inheritedLock } from "#engine/keeper/sleep_as_tape.ts";

/**
 * The binary as a keeper of containers.
 * @param argv The data and the runtime directory; `awake` behind them in one that was a tape, and has the lock already.
 * @returns The exit code.
 */
export async function runKeeper([root, run, awake]: readonly string[]): Promise<number> {
  // a directory that somebody wants to remove, or unmount, is not held
  process.chdir("/");
  await keep(openEngine({ root, run }), awake === "awake" ? inheritedLock() : undefined);
  return 0;
}
