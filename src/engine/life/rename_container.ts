import { readFileSync } from "node:fs";
import { join } from "node:path";
import { containerDirectory, releaseName, takeName, writeRecord } from "../record/container_directory.ts";
import { checkContainerName, type ContainerId } from "../record/container_id.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { readState, writeState } from "../record/state.ts";

/**
 * Gives a container another name. The new one is taken before the old one is free.
 * @throws {DugoutError} NAME_INVALID, NAME_IN_USE.
 */
export async function renameContainer(engine: Engine, record: ContainerRecord, wanted: string): Promise<void> {
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  const name = takeName(engine.dataRoot, directory.id, checkContainerName(wanted));
  try {
    const text = readFileSync(join(directory.path, "config.json"), "utf8");
    writeRecord(directory, { ...JSON.parse(text) as Record<string, unknown>, name });
  } catch (error) {
    releaseName(engine.dataRoot, name, record.id);
    throw error;
  }
  releaseName(engine.dataRoot, record.name, record.id);
  const state = readState(engine, record.id);
  if (state !== undefined) {
    writeState(engine, { ...state, name });
    await renameInNetworksOf(engine, record.id, name);
  }
  noteEvent(engine, containerEvent({ ...record, name }, "rename", { oldName: `/${record.name}` }));
}

/** Others find it by its new name from now on. */
async function renameInNetworksOf(engine: Engine, id: string, name: string): Promise<void> {
  const [{ renameInNetworks }, { networkContext }] = await Promise.all([
    import("#network/join.ts"),
    import("../network/networking.ts"),
  ]);
  await renameInNetworks(networkContext(engine), id, name);
}
