/**
 * Starting a container that is on record.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { DugoutError } from "#oci/error.ts";
import { FOREGROUND_HINT, requireOutsideJob } from "../require_outside_job.ts";
import { openParentNamespace } from "#runtime/holder/parent_namespace.ts";
import { type ContainerRecord, readRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { type KeptContainer, openKeptContainer, readKeptRequest } from "./kept_container.ts";
import { openLimits } from "../prepare/limits.ts";
import { forgetVolatile } from "../prepare/kept_root.ts";
import { withContainerLock } from "../record/lock_container.ts";
import { startNotices } from "./make_container.ts";
import { parentMap } from "../prepare/prepare.ts";
import { type StartedKept, startKept } from "./start_container.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** How it is started. */
export interface StartAgainOptions {
  /** The caller's stdin, for a container that reads and has no terminal; undefined: nothing of the caller's. */
  readonly stdin?: Fd | undefined;
  readonly terminal?: { readonly rows: number; readonly columns: number } | undefined;
  /** Whether the caller stays with it. */
  readonly isAttached?: boolean;
  /** Whether its restart policy starts it; it is counted then. */
  readonly isRestart?: boolean;
}

/** What came of it. */
export type StartOutcome =
  | { readonly kind: "started"; readonly container: KeptContainer; readonly started: StartedKept }
  /** It runs already: that is no error, as with Docker. */
  | { readonly kind: "running" };

/**
 * Starts a container, unless it runs. Whoever gets a started one leaves it (`leaveContainer`) or stays with it.
 * @throws {DugoutError} CONTAINER_UNKNOWN when it was removed meanwhile; CONTAINER_ELSEWHERE, CONTAINER_STARTING; and why it
 * cannot be started: that is on record then.
 */
export async function startAgain(
  engine: Engine,
  { id }: Pick<ContainerRecord, "id">,
  options: StartAgainOptions = {},
): Promise<StartOutcome> {
  return await withContainerLock(engine, id, async () => {
    const record = readRecord(engine.dataRoot, id);
    if (record === undefined) {
      throw new DugoutError("CONTAINER_UNKNOWN", `No such container: ${id.slice(0, 12)}`, { exitCode: 1 });
    }
    if (isRunning(engine, record)) return { kind: "running" };
    if (!options.isAttached) requireOutsideJob("start a container in the background", FOREGROUND_HINT);
    // ids are mapped by programs of the system while we plan
    const parent = parentMap(engine, readKeptRequest(record).request);
    using held = parent === undefined ? undefined : openParentNamespace(engine.runRoot, parent);
    held?.mapIds();
    const container = await openKeptContainer(engine, record);
    const { mounts, request } = container;
    const plan = { ...container.plan, limits: await openLimits(engine, request, !options.isAttached) };
    startNotices(request, plan).forEach(engine.warn);
    // docker's order (C-122)
    if (options.isAttached) noteEvent(engine, containerEvent(record, "attach"));
    forgetVolatile(plan.root.rootfs);
    const started = await startKept({
      engine,
      ...container,
      plan,
      mounts,
      subject: record,
      isNew: record.isNew,
      restartCount: options.isRestart ? record.restartCount + 1 : 0,
      stdin: options.stdin,
      terminal: options.terminal,
      outlivesCaller: !options.isAttached,
      held,
    });
    return { kind: "started", container, started };
  });
}

function isRunning(engine: Engine, record: ContainerRecord): boolean {
  const status = readStatus(engine, record, whereabouts());
  switch (status.kind) {
    case "running":
      if (!status.isPaused) return true;
      throw new DugoutError("CONTAINER_PAUSED", "cannot start a paused container, try unpause instead", {
        exitCode: 1,
      });
    case "elsewhere":
      throw new DugoutError(
        "CONTAINER_ELSEWHERE",
        `Cannot start the container "${record.name}": it was started on the machine "${status.machine}", and may run there`,
        { exitCode: 1, hint: "start it there" },
      );
    case "created":
      if (!status.isStarting) return false;
      throw new DugoutError(
        "CONTAINER_STARTING",
        `Cannot start the container "${record.name}": it is just being started`,
        {
          exitCode: 1,
          hint: "try again",
        },
      );
    case "exited":
      return false;
    default:
      throw new Error(`Unknown status ${status satisfies never}`);
  }
}
