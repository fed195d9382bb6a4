/**
 * Whether somebody stopped a container: a restart policy leaves it alone then, until it is started by hand. A mark is an
 * empty file beside the record, so that it outlives a reboot; where the disk is full, in the runtime directory.
 *
 * @module
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../engine.ts";

type Places = Pick<Engine, "dataRoot" | "runRoot">;

function marks({ dataRoot, runRoot }: Places, id: string): string[] {
  return [dataRoot, runRoot].map((root) => join(root, "containers", id, "stopped"));
}

/** Notes that somebody stops it; before it is asked to end. */
export function noteStop(places: Places, id: string): void {
  for (const mark of marks(places, id)) {
    try {
      return writeFileSync(mark, "", { mode: 0o600 });
    } catch {
      // a full disk, or gone: the other place
    }
  }
}

/** Whether somebody has stopped it since it was started. */
export function wasStopped(places: Places, id: string): boolean {
  return marks(places, id).some((mark) => existsSync(mark));
}

/** It is started. */
export function forgetStop(places: Places, id: string): void {
  for (const mark of marks(places, id)) rmSync(mark, { force: true });
}
