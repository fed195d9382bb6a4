/**
 * Trees of the user's store whose files may belong to any id that the user has: a worker in a namespace with all of these
 * ids removes and measures them.
 *
 * @module
 */
import type { IdMap } from "#linux/idmap.ts";
import { chooseIdMap } from "#runtime/identity.ts";
import { errorCode } from "#storage/private_dir.ts";
import { removePath } from "#storage/remove_tree.ts";
import type { Engine } from "./engine.ts";
import { runInWorker } from "./worker.ts";

/**
 * The map of a worker that removes: all ids that the user has, whatever map a container had, and root is the user's own,
 * so that directories of the user's are entered as their owner.
 */
export function allIdsMap(engine: Engine): IdMap {
  return chooseIdMap(engine.identity, { kind: "default" }, { uid: 0, gid: 0 });
}

/** Removes what a plain user can, and the rest {@linkcode removeWithAllIds with all ids}. */
export async function removeOwnTree(engine: Engine, path: string): Promise<void> {
  try {
    removePath(path);
  } catch (error) {
    const code = errorCode(error);
    if (code !== "EACCES" && code !== "EPERM") throw error;
    await removeWithAllIds(engine, path);
  }
}

/** Removes a tree by a worker. */
export async function removeWithAllIds(engine: Engine, path: string): Promise<void> {
  await runInWorker(allIdsMap(engine), { kind: "removeTree", path });
}

/** The bytes that the files of trees take on disk; 0 of those that are gone. */
export async function measureOwnTrees(engine: Engine, paths: readonly string[]): Promise<number[]> {
  if (paths.length === 0) return [];
  return (await runInWorker(allIdsMap(engine), { kind: "measureTrees", paths: [...paths] })).sizesBytes;
}
