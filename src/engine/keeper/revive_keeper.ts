import { closeSync } from "node:fs";
import type { Container } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { healthConfigOf } from "../health/health_config.ts";
import { callKeeper, lockKeeper } from "./keeper_lock.ts";
import { restartPolicyOf } from "./restart_policy.ts";

/** Whether a container is to be looked after. */
function needsKeeper({ record, status }: Container): boolean {
  if (status.kind === "running") return restartPolicyOf(record).kind !== "no" || healthConfigOf(record) !== undefined;
  if (status.kind === "created") return status.isStarting && restartPolicyOf(record).kind !== "no";
  return status.kind === "exited" && status.isRestarting === true;
}

/** Starts a keeper where containers need one and there is none: it was killed, or could not be started. */
export function reviveKeeper(engine: Engine, containers: readonly Container[]): void {
  if (!containers.some(needsKeeper)) return;
  try {
    const lock = lockKeeper(engine);
    if (lock === undefined) return;
    closeSync(lock);
    callKeeper(engine);
  } catch {
    // the command that came by has an affair of its own
  }
}
