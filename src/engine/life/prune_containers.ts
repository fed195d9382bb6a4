/**
 * Removing all containers that do not run.
 *
 * @module
 */
import { type Container, listContainers } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { measureContainers } from "../store/measure_container.ts";
import { removeContainer } from "./remove_container.ts";

/** What a prune did. */
export interface PrunedContainers {
  readonly ids: readonly string[];
  readonly freedBytes: number;
  /** Of those that could not be removed. */
  readonly errors: readonly unknown[];
}

/** Removes containers that have ended or were never started. @param fits Which of them. */
export async function pruneContainers(
  engine: Engine,
  fits: (container: Container) => boolean,
): Promise<PrunedContainers> {
  const chosen = listContainers(engine).containers.filter((container) => isIdle(container) && fits(container));
  const sizes = await measureContainers(engine, chosen.map(({ record }) => record));
  const ids: string[] = [];
  const errors: unknown[] = [];
  let freedBytes = 0;
  for (const [i, { record }] of chosen.entries()) {
    try {
      await removeContainer(engine, { id: record.id, record }, { force: false, volumes: false });
      ids.push(record.id);
      freedBytes += sizes[i]?.ownBytes ?? 0;
    } catch (error) {
      errors.push(error);
    }
  }
  return { ids, freedBytes, errors };
}

function isIdle({ status }: Container): boolean {
  return (status.kind === "exited" && !status.isRestarting) || (status.kind === "created" && !status.isStarting);
}
