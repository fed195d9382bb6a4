import type { IdMap } from "#linux/idmap.ts";
import { chooseIdMap } from "#runtime/identity.ts";
import {
  type ContainerDirectory,
  gonePath,
  releaseName,
  removeContainerDirectory,
} from "../record/container_directory.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { runInWorker } from "../worker.ts";

/**
 * The map of a worker that removes: all ids that the user has, whatever map a container had, and root is the user's own,
 * so that directories of the user's are entered as their owner.
 */
export function allIdsMap(engine: Engine): IdMap {
  return chooseIdMap(engine.identity, { kind: "default" }, { uid: 0, gid: 0 });
}

/**
 * Removes all that a container has on disk. Files of subordinate ids, which a plain user cannot remove, are removed by
 * a worker in the user namespace.
 * @returns Whether it was there: false when somebody else removes it.
 */
export async function discardContainer(engine: Engine, directory: ContainerDirectory): Promise<boolean> {
  const gone = gonePath(directory);
  const result = removeContainerDirectory(directory, gone);
  if (result === "left") await removeGone(engine, gone);
  return result !== "was gone";
}

/** Removes what is left at a {@linkcode gonePath} by a worker. */
export async function removeGone(engine: Engine, gone: string): Promise<void> {
  await runInWorker(allIdsMap(engine), { kind: "removeTree", path: gone });
}

/** What stays to be done when a container's directories are gone: its name is free, its own volumes go. */
export async function forgetContainer(
  engine: Engine,
  { id, name }: { readonly id: string; readonly name: string | undefined },
  volumes: readonly string[],
): Promise<void> {
  if (name !== undefined) releaseName(engine.dataRoot, name, id);
  if (volumes.length > 0) await (await import("./remove_volumes.ts")).removeVolumes(engine, volumes);
}

/** The volumes that go with a container. */
export function ownVolumes(record: ContainerRecord | undefined): string[] {
  return (record?.mounts ?? []).flatMap(({ volume, isAnonymous }) =>
    volume !== undefined && isAnonymous ? [volume] : []
  );
}
