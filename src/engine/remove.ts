import type { IdMap } from "#linux/idmap.ts";
import { type ContainerDirectory, removeContainerDirectory } from "./container_directory.ts";
import type { Engine } from "./engine.ts";
import { runInWorker } from "./worker.ts";

/**
 * Removes all that a container has on disk. Files of subordinate ids, which a plain user cannot remove, are removed by
 * a worker in the user namespace.
 */
export async function discardContainer(_engine: Engine, directory: ContainerDirectory, map: IdMap): Promise<void> {
  if (removeContainerDirectory(directory)) return;
  await runInWorker(map, { kind: "removeTree", path: directory.path });
}
