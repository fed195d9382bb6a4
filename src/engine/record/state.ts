/**
 * What runs: one state file a container in the runtime directory, believed only while its boot and its process are
 * still the same.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { readBootId, readStartTime } from "#linux/proc.ts";
import { randomHex } from "#linux/random.ts";
import type { ContainerState } from "./container_state.ts";
import type { Engine } from "../engine.ts";

/** Writes a container's state: beside, then renamed. */
export function writeState(engine: Pick<Engine, "runRoot">, state: ContainerState): void {
  const directory = join(engine.runRoot, "containers", state.id);
  const file = join(directory, "state.json");
  // the command that starts it and one that finds it without a state may both write
  const temporary = `${file}.${randomHex(6)}.new`;
  for (let attempt = 1;; attempt++) {
    try {
      // it may have been swept away (C-058)
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      fs.writeFileSync(temporary, JSON.stringify(state), { mode: 0o600 });
      fs.renameSync(temporary, file);
      return;
    } catch (error) {
      // somebody removes the container at this moment: then the state is of no use, or there is none in the next
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      if (attempt === MOST_WRITES) return;
    }
  }
}

const MOST_WRITES = 3;

/** Reads a container's state; undefined where there is none that can be believed. */
export function readState(engine: Pick<Engine, "runRoot">, id: string): ContainerState | undefined {
  try {
    const state = readStateText(engine, id);
    if (state === undefined) return undefined;
    return state.bootId === readBootId() && readStartTime(state.pid) === state.startTime ? state : undefined;
  } catch {
    return undefined;
  }
}

/** What was written when a container was started, whether it still runs or not. */
export function readStateText(engine: Pick<Engine, "runRoot">, id: string): ContainerState | undefined {
  try {
    return JSON.parse(fs.readFileSync(join(engine.runRoot, "containers", id, "state.json"), "utf8")) as ContainerState;
  } catch {
    return undefined;
  }
}
