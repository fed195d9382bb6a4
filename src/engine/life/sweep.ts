/**
 * What killed commands left of containers (C-081): those that were to be removed at their end, those that were just being
 * made or removed.
 *
 * @module
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { sweepOwnGroups } from "#cgroup/sweep_groups.ts";
import { listDirectory } from "#storage/content.ts";
import { removePath } from "#storage/remove_tree.ts";
import { isStateOf, readGoneName } from "../record/container_directory.ts";
import { listContainers } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { reviveKeeper } from "../keeper/revive_keeper.ts";
import { removeContainer } from "./remove_container.ts";
import { removeOwnTree } from "../own_trees.ts";
import { readStartTime } from "#linux/proc.ts";
import { isOwnerAlive, seenFrom, type Whereabouts, whereabouts } from "../record/whereabouts.ts";

/** A container without a record is being made for no longer than this. */
const MAKING_MS = 60_000;
/** No removal takes longer. */
const REMOVING_MS = 3_600_000;

/**
 * Removes what nobody else will remove any more. One that cannot be removed stays, and is no error.
 * @returns All containers, as they are then: who lists them need not read them again.
 */
export async function sweepContainers(engine: Engine): Promise<ReturnType<typeof listContainers>> {
  const folder = join(engine.dataRoot, "containers");
  const here = whereabouts();
  const listing = listContainers(engine);
  reviveKeeper(engine, listing.containers);
  let hasChanged = false;
  for (const { record, status } of listing.containers) {
    if (!record.rm || status.kind !== "exited") continue;
    if (seenFrom(record, here) === "here" && isOwnerAlive(record)) continue;
    hasChanged = true;
    await quietly(() => removeContainer(engine, { id: record.id, record }, { force: false, volumes: true }));
  }
  for (const id of listing.damaged) {
    if (!isAbandoned(join(folder, id))) continue;
    hasChanged = true;
    await quietly(() => removeContainer(engine, { id, record: undefined }, { force: false, volumes: false }));
  }
  for (const name of listDirectory(folder)) {
    if (name.startsWith(".gone.") && isLeft(join(folder, name), here)) {
      await quietly(() => removeOwnTree(engine, join(folder, name)));
    }
  }
  const over = new Map(listing.containers.map(({ record, status }) => [record.id, status.kind === "exited"]));
  sweepOwnGroups((id) => over.get(id));
  const states = join(engine.runRoot, "containers");
  for (const id of listDirectory(states)) {
    // other stores may share the runtime directory
    const [state, place] = [join(states, id), join(folder, id)];
    if (!existsSync(place) && isStateOf(state, place)) await quietly(() => void removePath(state));
  }
  // networks are up
  if (existsSync(join(engine.runRoot, "network", "holder.json"))) await quietly(() => repairNetworksOf(engine));
  return hasChanged ? listContainers(engine) : listing;
}

async function repairNetworksOf(engine: Engine): Promise<void> {
  const [{ repairNetworks }, { networkContext }] = await Promise.all([
    import("#network/repair.ts"),
    import("../network/networking.ts"),
  ]);
  await repairNetworks(networkContext(engine));
}

/** What a process was removing that has been killed. Of another boot, or another machine, only age tells. */
function isLeft(path: string, here: Whereabouts): boolean {
  const { bootId, ownerPid, ownerStartTime } = readGoneName(path) ?? here;
  if (bootId === here.bootId.slice(0, bootId.length)) return readStartTime(ownerPid) !== ownerStartTime;
  return isOlderThan(path, REMOVING_MS);
}

/** Without any record, and old enough: the command that made it was killed. A damaged record is a user's affair. */
function isAbandoned(path: string): boolean {
  if (existsSync(join(path, "config.json"))) return false;
  return isOlderThan(path, MAKING_MS);
}

function isOlderThan(path: string, ms: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > ms;
}

async function quietly(act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
  } catch {
    // the next one tries again
  }
}
