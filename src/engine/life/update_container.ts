import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeRequest } from "#docker/request_codec.ts";
import type { RestartPolicy } from "#docker/run_request.ts";
import { DugoutError } from "#oci/error.ts";
import { containerDirectory, writeRecord } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { callKeeper } from "../keeper/keeper_lock.ts";
import { readKeptRequest } from "./kept_container.ts";
import { withContainerLock } from "../record/lock_container.ts";

/**
 * Gives a container another restart policy, which holds from its next end on.
 * @throws {DugoutError} UPDATE_CONFLICT for a container that goes when it ends; what `readKeptRequest` throws.
 */
export async function updateContainer(engine: Engine, record: ContainerRecord, restart: RestartPolicy): Promise<void> {
  const { request, options } = readKeptRequest(record);
  if (record.rm && restart.kind !== "no") {
    throw new DugoutError(
      "UPDATE_CONFLICT",
      `Cannot update the container "${record.name}": restart policy cannot be updated because AutoRemove is enabled for the container`,
      { exitCode: 1 },
    );
  }
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  await withContainerLock(engine, record.id, () => {
    const text = readFileSync(join(directory.path, "config.json"), "utf8");
    const changed = encodeRequest({ ...request, restart }, options);
    writeRecord(directory, { ...JSON.parse(text) as Record<string, unknown>, request: changed });
  });
  noteEvent(engine, containerEvent(record, "update"));
  if (restart.kind !== "no") callKeeper(engine);
}
