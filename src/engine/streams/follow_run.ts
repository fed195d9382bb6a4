/**
 * The time that a container runs in the foreground.
 *
 * @module
 */
import type { Running } from "#runtime/launch_container.ts";
import type { Engine } from "../engine.ts";
import { followForeground, type HeldSignals } from "./foreground.ts";
import { readWaitStatus } from "../record/wait_status.ts";

/** A command that has nothing else to do for so long looks for what others left. */
export const SWEEP_AFTER_MS: number = 500;

/**
 * Follows a container to its end; what killed commands left is looked for while there is nothing else to do.
 * @param state The container's directory in the runtime directory.
 * @returns Its wait status, or undefined when nobody knows it: the monitor was killed.
 */
export async function followRun(
  running: Running,
  state: string,
  signals: HeldSignals | undefined,
  openEngine: () => Engine | Promise<Engine>,
  whenItStays?: () => void,
): Promise<number | undefined> {
  const sweep = setTimeout(() => void sweepQuietly(openEngine), SWEEP_AFTER_MS);
  const tell = (line: string) => void Promise.resolve(openEngine()).then((engine) => engine.warn(line));
  return await followForeground(running, signals, { whenItStays, tell }).finally(() => clearTimeout(sweep)) ??
    readWaitStatus(state);
}

/** Looks for what killed commands left. */
export async function sweepQuietly(openEngine: () => Engine | Promise<Engine>): Promise<void> {
  try {
    await (await import("../life/sweep.ts")).sweepContainers(await openEngine());
  } catch {
    // not this container's affair
  }
}
