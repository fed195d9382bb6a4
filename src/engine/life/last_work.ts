/**
 * What the monitor of a container with `--rm` has done when it has ended: it becomes this program, as root of the
 * container's user namespace, and removes the container. Nobody has to wait for that, or be there.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject, parseJson } from "#oci/json.ts";
import { removePath } from "#storage/remove_tree.ts";
import { detachVolume, openVolumes, withVolumesLock } from "#storage/volumes.ts";
import { readExitRecord } from "../record/container_end.ts";
import { containerDirectory, gonePath, releaseName, removeContainerDirectory } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import { readRecord } from "../record/container_record.ts";
import { containerEvent, dieEvents, type EventPlace, noteEvents, volumeEvent } from "../events/events.ts";
import { forgetLock, withContainerLock } from "../record/lock_container.ts";
import { ownVolumes } from "./remove.ts";
import { volumeUsers } from "../volumes/remove_volumes.ts";

/** The first argument of the program that does it; the work comes on stdin. */
export const LAST_WORK_ARGUMENT = "__last-work";

/** The work: which container of which store. */
export interface LastWork extends EventPlace {
  readonly id: string;
  /** Which of its starts it was. */
  readonly startedMs: number;
}

/** The work, as it is kept until then. */
export function encodeLastWork({ dataRoot, runRoot, id, startedMs }: LastWork): string {
  return JSON.stringify({ dataRoot, runRoot, id, startedMs });
}

/** Reads what {@linkcode encodeLastWork} gave. */
export function decodeLastWork(bytes: Uint8Array): LastWork {
  const value = parseJson(bytes, "the work", { maxBytes: 65536 });
  const text = (key: string): string => {
    const found = isJsonObject(value) ? value[key] : undefined;
    if (typeof found !== "string") throw new Error(`Work has no "${key}"`);
    return found;
  };
  const startedMs = isJsonObject(value) ? Number(value["startedMs"]) : 0;
  return { dataRoot: text("dataRoot"), runRoot: text("runRoot"), id: text("id"), startedMs };
}

/** As long as this is there, the container is about to be started again. */
export function keepMark({ runRoot, id }: Pick<LastWork, "runRoot" | "id">): string {
  return join(runRoot, "containers", id, "keep");
}

/** Removes the container, unless it is to be started again, or somebody else has removed it. */
export async function doLastWork(work: LastWork): Promise<void> {
  await withContainerLock(work, work.id, async () => {
    const record = readRecord(work.dataRoot, work.id);
    // it may have been started again
    if (record === undefined || record.startedMs !== work.startedMs || existsSync(keepMark(work))) return;
    const directory = containerDirectory(work.dataRoot, work.runRoot, work.id as ContainerId);
    const exit = readExitRecord(directory.state) ?? readExitRecord(directory.path);
    const wasThere = existsSync(directory.path);
    removeContainerDirectory(directory, gonePath(directory));
    releaseName(work.dataRoot, record.name, work.id);
    forgetLock(work, work.id);
    const volumes = await removeOwnVolumes(work, ownVolumes(record));
    if (!wasThere) return;
    noteEvents(work, [
      ...dieEvents(record, { exitCode: undefined, ...exit, startedMs: work.startedMs }, exit?.finishedMs ?? Date.now()),
      containerEvent(record, "destroy"),
      ...volumes.map((name) => volumeEvent(name, "destroy")),
    ]);
  });
}

/** Here all files can be removed: no worker is needed. @returns The names of those that went. */
async function removeOwnVolumes(work: LastWork, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const volumes = openVolumes(work.dataRoot);
  const detached = await withVolumesLock(volumes, () => {
    const users = volumeUsers(work);
    return names.filter((name) => !users.has(name)).map((name) => ({ name, path: detachVolume(volumes, name) }));
  });
  for (const { path } of detached) if (path !== undefined) removePath(path);
  return detached.flatMap(({ name, path }) => path === undefined ? [] : [name]);
}
