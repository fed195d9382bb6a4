import {
  type ContainerDirectory,
  gonePath,
  releaseName,
  removeContainerDirectory,
} from "../record/container_directory.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { removeWithAllIds } from "../own_trees.ts";

/**
 * Removes all that a container has on disk. Files of subordinate ids, which a plain user cannot remove, are removed by
 * a worker in the user namespace.
 * @returns Whether it was there: false when somebody else removes it.
 */
export async function discardContainer(engine: Engine, directory: ContainerDirectory): Promise<boolean> {
  const gone = gonePath(directory);
  const result = removeContainerDirectory(directory, gone);
  if (result === "left") await removeWithAllIds(engine, gone);
  return result !== "was gone";
}

/** What stays to be done when a container's directories are gone: its name is free, its own volumes go. */
export async function forgetContainer(
  engine: Engine,
  { id, name }: { readonly id: string; readonly name: string | undefined },
  volumes: readonly string[],
): Promise<void> {
  if (name !== undefined) releaseName(engine.dataRoot, name, id);
  if (volumes.length > 0) await (await import("../volumes/remove_volumes.ts")).removeVolumes(engine, volumes);
}

/** The volumes that go with a container. */
export function ownVolumes(record: ContainerRecord | undefined): string[] {
  return (record?.mounts ?? []).flatMap(({ volume, isAnonymous }) =>
    volume !== undefined && isAnonymous ? [volume] : []
  );
}
