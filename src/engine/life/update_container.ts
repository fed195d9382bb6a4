import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeRequest } from "#docker/request_codec.ts";
import type { LimitsRequest, RestartPolicy } from "#docker/run_request.ts";
import { DugoutError } from "#oci/error.ts";
import { containerDirectory, writeRecord } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { callKeeper } from "../keeper/keeper_lock.ts";
import { readKeptRequest } from "./kept_container.ts";
import { updateLimits } from "./update_limits.ts";
import { withContainerLock } from "../record/lock_container.ts";

/** What is changed. */
export interface ContainerChanges {
  /** It holds from the next end on. */
  readonly restart: RestartPolicy | undefined;
  /** They hold at once. */
  readonly limits: Partial<LimitsRequest>;
}

/**
 * Changes what a container was made with.
 * @throws {DugoutError} UPDATE_CONFLICT for a restart policy of one that goes when it ends; LIMIT_IMPOSSIBLE, LIMIT_REFUSED; what
 * `readKeptRequest` throws.
 */
export async function updateContainer(
  engine: Engine,
  record: ContainerRecord,
  { restart, limits }: ContainerChanges,
): Promise<void> {
  const { request, options } = readKeptRequest(record);
  if (record.rm && restart !== undefined && restart.kind !== "no") {
    throw new DugoutError(
      "UPDATE_CONFLICT",
      `Cannot update the container "${record.name}": restart policy cannot be updated because AutoRemove is enabled for the container`,
      { exitCode: 1 },
    );
  }
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, record.id as ContainerId);
  await withContainerLock(engine, record.id, () => {
    const changedLimits = Object.keys(limits).length === 0
      ? request.limits
      : updateLimits(engine, record, request, limits);
    const text = readFileSync(join(directory.path, "config.json"), "utf8");
    const changed = encodeRequest(
      { ...request, restart: restart ?? request.restart, limits: changedLimits },
      options,
    );
    writeRecord(directory, { ...JSON.parse(text) as Record<string, unknown>, request: changed });
  });
  noteEvent(engine, containerEvent(record, "update"));
  if (restart !== undefined && restart.kind !== "no") callKeeper(engine);
}
