/**
 * Removing containers that are on record.
 *
 * @module
 */
import { SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import { containerDirectory } from "./container_directory.ts";
import type { ContainerId } from "./container_id.ts";
import type { ContainerRecord } from "./container_record.ts";
import { type FoundContainer, readStatus } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { containerEvent, killEvent, noteEvent } from "./events.ts";
import { discardContainer, forgetContainer, ownVolumes } from "./remove.ts";
import { signalContainer, waitForEnd } from "./signal_container.ts";
import { isOwnerAlive, whereabouts } from "./whereabouts.ts";

/** How a container is removed. */
export interface RemoveContainerOptions {
  /** `-f`: end it first, where it runs. */
  readonly force: boolean;
  /** `-v`: with the volumes that were made for it alone. */
  readonly volumes: boolean;
}

/** So long a container has to end after SIGKILL: only the kernel can hold it up. */
const KILL_MS = 10_000;
/** So long the command that runs a container with --rm has to remove it. */
const OWNER_MS = 3000;

/**
 * Removes a container and all that it has on disk.
 * @throws {DugoutError} CONTAINER_RUNNING, CONTAINER_ELSEWHERE, CONTAINER_STUCK.
 */
export async function removeContainer(
  engine: Engine,
  { id, record }: FoundContainer,
  options: RemoveContainerOptions,
): Promise<void> {
  if (record !== undefined && await makeSureItEnded(engine, record, options.force) === "removed") return;
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, id as ContainerId);
  const wasThere = await discardContainer(engine, directory);
  const volumes = options.volumes || record?.rm === true ? ownVolumes(record) : [];
  await forgetContainer(engine, { id, name: record?.name }, volumes);
  if (wasThere && record !== undefined) noteEvent(engine, containerEvent(record, "destroy"));
}

async function makeSureItEnded(
  engine: Engine,
  record: ContainerRecord,
  force: boolean,
): Promise<"ended" | "removed"> {
  const status = readStatus(engine, record, whereabouts());
  switch (status.kind) {
    case "exited":
      // with --rm the command that runs it removes it
      return record.rm && isOwnerAlive(record) ? await waitForOwner(engine, record) : "ended";
    case "elsewhere":
      throw new DugoutError(
        "CONTAINER_ELSEWHERE",
        `Cannot remove the container "${record.name}": it was started on the machine "${status.machine}", and may run there`,
        { exitCode: 1, hint: "remove it there" },
      );
    case "created":
      if (force) return "ended";
      throw new DugoutError("CONTAINER_RUNNING", `cannot remove container "${record.name}": it is just being started`, {
        exitCode: 1,
        hint: "try again, or force it: rm -f",
      });
    case "running": {
      if (!force) {
        throw new DugoutError("CONTAINER_RUNNING", `cannot remove container "${record.name}": container is running`, {
          exitCode: 1,
          hint: "stop the container before removing it, or force it: rm -f",
        });
      }
      if (signalContainer(status.state, SIGNALS.KILL)) noteEvent(engine, killEvent(record, SIGNALS.KILL));
      const then = await waitForEnd(engine, record, KILL_MS);
      if (then?.kind === "running") {
        throw new DugoutError(
          "CONTAINER_STUCK",
          `Cannot remove the container "${record.name}": its processes do not end after SIGKILL`,
          { exitCode: 1, hint: "they wait for a device or a file server; try again later" },
        );
      }
      if (then === undefined) return "removed";
      return record.rm && isOwnerAlive(record) ? await waitForOwner(engine, record) : "ended";
    }
    default:
      throw new Error(`Unknown status ${status satisfies never}`);
  }
}

/** The command that runs a container with --rm removes it; if it does not, we do. */
async function waitForOwner(engine: Engine, record: ContainerRecord): Promise<"ended" | "removed"> {
  return await waitForEnd(engine, record, OWNER_MS, "removed") === undefined ? "removed" : "ended";
}
