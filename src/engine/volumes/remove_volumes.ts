/**
 * Removing volumes: their files may belong to any id that the user has.
 *
 * @module
 */
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import {
  detachVolume,
  findVolumeRemains,
  listVolumes,
  openVolumes,
  type Volume,
  withVolumesLock,
} from "#storage/volumes.ts";
import { listRecords } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { noteEvent, volumeEvent } from "../events/events.ts";
import { measureOwnTrees, removeOwnTree } from "../own_trees.ts";

/** The containers, by id, that use each volume. */
export function volumeUsers(engine: Pick<Engine, "dataRoot">): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { id, mounts } of listRecords(engine.dataRoot).records) {
    for (const { volume } of mounts) if (volume !== undefined) users.set(volume, [...users.get(volume) ?? [], id]);
  }
  return users;
}

/** Removes volumes that no container on record uses; those that are used, or gone, are passed over. */
export async function removeVolumes(engine: Engine, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const volumes = openVolumes(engine.dataRoot);
  const detached = await withVolumesLock(volumes, () => {
    const users = volumeUsers(engine);
    return names.filter((name) => !users.has(name)).map((name) => ({ name, path: detachVolume(volumes, name) }));
  });
  for (const { name, path } of detached) if (path !== undefined) await removeDetached(engine, name, path);
}

/**
 * Removes a volume.
 * @throws {DugoutError} VOLUME_UNKNOWN, VOLUME_IN_USE.
 */
export async function removeVolume(engine: Engine, name: string): Promise<void> {
  const volumes = openVolumes(engine.dataRoot);
  const detached = await withVolumesLock(volumes, () => {
    const users = volumeUsers(engine).get(name);
    if (users !== undefined) {
      throw new DugoutError(
        "VOLUME_IN_USE",
        `Cannot remove the volume ${quote(name)}: it is in use by ${users.map((id) => id.slice(0, 12)).join(", ")}`,
        { exitCode: 1, hint: "remove these containers first" },
      );
    }
    return detachVolume(volumes, name);
  });
  if (detached === undefined) throw unknownVolume(name);
  await removeDetached(engine, name, detached);
}

async function removeDetached(engine: Engine, name: string, path: string): Promise<void> {
  noteEvent(engine, volumeEvent(name, "destroy"));
  await removeOwnTree(engine, path);
}

export function unknownVolume(name: string): DugoutError {
  return new DugoutError("VOLUME_UNKNOWN", `No such volume: ${name}`, { exitCode: 1 });
}

/**
 * Removes volumes that no container uses, and what killed processes left.
 * @param fits Which of them.
 * @returns Their names, and the bytes that they took.
 */
export async function pruneVolumes(
  engine: Engine,
  fits: (volume: Volume) => boolean,
): Promise<{ names: string[]; freedBytes: number }> {
  const volumes = openVolumes(engine.dataRoot);
  const detached = await withVolumesLock(volumes, () => {
    const users = volumeUsers(engine);
    const chosen = listVolumes(volumes).volumes.filter((volume) => !users.has(volume.name) && fits(volume));
    return chosen.map(({ name }) => ({ name, path: detachVolume(volumes, name) }));
  });
  const gone = detached.flatMap(({ name, path }) => path === undefined ? [] : [{ name, path }]);
  const sizesBytes = await measureOwnTrees(engine, gone.map(({ path }) => join(path, "_data")));
  for (const { name, path } of gone) await removeDetached(engine, name, path);
  for (const path of findVolumeRemains(volumes)) await removeOwnTree(engine, path);
  return { names: detached.map(({ name }) => name), freedBytes: sizesBytes.reduce((sum, bytes) => sum + bytes, 0) };
}
