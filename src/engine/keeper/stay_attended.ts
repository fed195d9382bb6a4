import { closeSync } from "node:fs";
import { batchJob } from "#linux/batch_job.ts";
import type { Engine } from "../engine.ts";
import { callKeeper, lockKeeper } from "./keeper_lock.ts";

/** A keeper that goes is missed for so long at most: Docker's usual time between two health checks. */
const LOOK_MS = 30_000;

/**
 * Calls a keeper for a container in the foreground, and again where it has gone: one that was called within a unit of systemd
 * ends with that unit, whatever else it looked after.
 */
export function stayAttended(engine: Pick<Engine, "dataRoot" | "runRoot" | "warn">): { stop(): void } {
  if (batchJob() !== undefined) {
    engine.warn("health checks are not run in a job: who runs them would outlive the command");
    return { stop() {} };
  }
  const look = (act: () => void) => {
    try {
      act();
    } catch {
      // a full disk: the container is no worse for it, and it is tried again
    }
  };
  look(() => callKeeper(engine));
  const timer = setInterval(() =>
    look(() => {
      const lock = lockKeeper(engine);
      if (lock === undefined) return;
      closeSync(lock);
      callKeeper(engine);
    }), LOOK_MS);
  return { stop: () => clearInterval(timer) };
}
