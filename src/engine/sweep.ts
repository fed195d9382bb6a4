/**
 * What killed commands left of containers (C-081): those that were to be removed at their end, those that were just being
 * made or removed.
 *
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { listDirectory } from "#storage/content.ts";
import { removePath } from "#storage/remove_tree.ts";
import { listContainers } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { removeContainer } from "./remove_container.ts";
import { removeOwnTree } from "./remove_volumes.ts";
import { isOwnerAlive, seenFrom, whereabouts } from "./whereabouts.ts";

/** A container without a record is being made for no longer than this. */
const MAKING_MS = 60_000;

/** Removes what nobody else will remove any more. One that cannot be removed stays, and is no error. */
export async function sweepContainers(engine: Engine): Promise<void> {
  const folder = join(engine.dataRoot, "containers");
  const here = whereabouts();
  const { containers, damaged } = listContainers(engine);
  for (const { record, status } of containers) {
    if (!record.rm || status.kind !== "exited") continue;
    if (seenFrom(record, here) === "here" && isOwnerAlive(record)) continue;
    await quietly(() => removeContainer(engine, { id: record.id, record }, { force: false, volumes: true }));
  }
  for (const id of damaged) {
    if (!isAbandoned(join(folder, id))) continue;
    await quietly(() => removeContainer(engine, { id, record: undefined }, { force: false, volumes: false }));
  }
  for (const name of listDirectory(folder)) {
    if (name.startsWith(".gone.")) await quietly(() => removeOwnTree(engine, join(folder, name)));
  }
  const running = join(engine.runRoot, "containers");
  for (const name of listDirectory(running)) {
    if (/^[0-9a-f]{64}$/.test(name) && !existsSync(join(folder, name))) {
      await quietly(() => void removePath(join(running, name)));
    }
  }
}

/** Without any record, and old enough: the command that made it was killed. A damaged record is a user's affair. */
function isAbandoned(path: string): boolean {
  if (existsSync(join(path, "config.json"))) return false;
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > MAKING_MS;
}

async function quietly(act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch {
    // the next one tries again
  }
}
