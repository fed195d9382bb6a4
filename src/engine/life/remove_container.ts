/**
 * Removing containers that are on record.
 *
 * @module
 */
import { sweepOwnGroups } from "#cgroup/sweep_groups.ts";
import { SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import { delay } from "#storage/delay.ts";
import { forgetLock, withContainerLock } from "../record/lock_container.ts";
import { containerDirectory } from "../record/container_directory.ts";
import type { ContainerId } from "../record/container_id.ts";
import { type ContainerRecord, readRecord } from "../record/container_record.ts";
import { type ContainerStatus, type FoundContainer, readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, killEvent, noteEvent } from "../events/events.ts";
import { wakeKeeper } from "../keeper/keeper_lock.ts";
import { restartPolicyOf } from "../keeper/restart_policy.ts";
import { forgetRestart } from "../keeper/restart_plan.ts";
import { discardContainer, forgetContainer, ownVolumes } from "./remove.ts";
import { signalContainer, waitForEnd } from "./signal_container.ts";
import { isOwnerAlive, whereabouts } from "../record/whereabouts.ts";

/** How a container is removed. */
export interface RemoveContainerOptions {
  /** `-f`: end it first, where it runs. */
  readonly force: boolean;
  /** `-v`: with the volumes that were made for it alone. */
  readonly volumes: boolean;
}

/** So long a container has to end after SIGKILL: only the kernel can hold it up. */
const KILL_MS = 10_000;
const LOOK_MS = 10;
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
  for (const waits of [true, false]) {
    const isRemoved = await withContainerLock(engine, id, async () => {
      // it may have been started, or renamed, since it was found
      const now = readRecord(engine.dataRoot, id) ?? record;
      const state = now === undefined ? "ended" : await makeSureItEnded(engine, now, options.force);
      if (state === "owner" && waits) return false;
      if (state !== "removed") await discardFound(engine, { id, record: now }, options);
      forgetLock(engine, id);
      return true;
    });
    if (isRemoved) return;
    // who runs it with --rm removes it; if not, we do
    await waitForEnd(engine, record!, OWNER_MS, "removed");
  }
}

/**
 * Removes a container that was to go at its end, if it is still there when it has ended: its monitor was killed, or looked
 * for its last work before that was written.
 * @param hasEnded Whether the caller knows that it has ended, though nobody wrote it down.
 */
export async function removeLeftOver(engine: Engine, id: string, hasEnded = false): Promise<void> {
  await withContainerLock(engine, id, async () => {
    const record = readRecord(engine.dataRoot, id);
    if (record === undefined || !record.rm) return;
    if (!hasEnded && readStatus(engine, record, whereabouts()).kind !== "exited") return;
    await discardFound(engine, { id, record }, { force: false, volumes: true });
    forgetLock(engine, id);
  });
}

async function discardFound(
  engine: Engine,
  { id, record }: FoundContainer,
  options: RemoveContainerOptions,
): Promise<void> {
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, id as ContainerId);
  const wasThere = await discardContainer(engine, directory);
  sweepOwnGroups((other) => other === id ? true : undefined);
  forgetRestart(engine, id);
  if (record !== undefined && restartPolicyOf(record).kind !== "no") wakeKeeper(engine);
  const volumes = options.volumes || record?.rm === true ? ownVolumes(record) : [];
  await forgetContainer(engine, { id, name: record?.name }, volumes);
  if (wasThere && record !== undefined) noteEvent(engine, containerEvent(record, "destroy"));
}

/** `owner`: it has ended, and the command that runs it with --rm is about to remove it. */
async function makeSureItEnded(
  engine: Engine,
  record: ContainerRecord,
  force: boolean,
): Promise<"ended" | "removed" | "owner"> {
  const status = await readSettledStatus(engine, record, force);
  if (status === undefined) return "removed";
  const ended = record.rm && isOwnerAlive(record) ? "owner" : "ended";
  switch (status.kind) {
    case "exited":
      if (!status.isRestarting || force) return ended;
      throw new DugoutError(
        "CONTAINER_RUNNING",
        `cannot remove container "${record.name}": container is restarting: stop the container before removing or force remove`,
        { exitCode: 1, hint: `stop it first, or force it: rm -f` },
      );
    case "elsewhere":
      throw new DugoutError(
        "CONTAINER_ELSEWHERE",
        `Cannot remove the container "${record.name}": it was started on the machine "${status.machine}", and may run there`,
        { exitCode: 1, hint: "remove it there" },
      );
    case "created":
      if (force || !status.isStarting) return "ended";
      throw new DugoutError("CONTAINER_RUNNING", `cannot remove container "${record.name}": it is just being started`, {
        exitCode: 1,
        hint: "try again, or force it: rm -f",
      });
    case "running": {
      if (!force) {
        if (status.isPaused) {
          throw new DugoutError(
            "CONTAINER_RUNNING",
            `cannot remove container "${record.name}": container is paused and must be unpaused first`,
            { exitCode: 1, hint: "or force it: rm -f" },
          );
        }
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
      return then === undefined ? "removed" : ended;
    }
    default:
      throw new Error(`Unknown status ${status satisfies never}`);
  }
}

/**
 * What has become of it. With force, a start that is under way is waited for: else its container would run on, removed.
 * @returns Undefined when it is gone.
 */
async function readSettledStatus(
  engine: Engine,
  record: ContainerRecord,
  force: boolean,
): Promise<ContainerStatus | undefined> {
  for (const stopMs = performance.now() + KILL_MS;;) {
    const status = readStatus(engine, record, whereabouts());
    if (!force || status.kind !== "created" || !status.isStarting || performance.now() > stopMs) return status;
    if (readRecord(engine.dataRoot, record.id) === undefined) return undefined;
    await delay(LOOK_MS);
  }
}
