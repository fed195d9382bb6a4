/**
 * Ending containers politely.
 *
 * @module
 */
import { SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { type ContainerStatus, readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, killEvent, noteEvent } from "../events/events.ts";
import { thaw } from "./pause_container.ts";
import { signalContainer, waitForEnd } from "./signal_container.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** Docker's: from the stop signal to SIGKILL. */
const STOP_SECONDS = 10;
const KILL_MS = 10_000;

/** How a container is stopped. */
export interface StopOptions {
  /** Undefined: the container's own, else SIGTERM. */
  readonly signal: number | undefined;
  /** Undefined: the container's own, else 10; below 0: without end. */
  readonly timeoutSeconds: number | undefined;
}

/**
 * Asks a container to end, and kills it when it has not ended in time. One that does not run is no error.
 * @throws {DugoutError} CONTAINER_ELSEWHERE, CONTAINER_STUCK.
 */
export async function stopContainer(engine: Engine, record: ContainerRecord, options: StopOptions): Promise<void> {
  const running = runningStatus(engine, record);
  if (running === undefined) return;
  const { state, isPaused } = running;
  const seconds = options.timeoutSeconds ?? record.stopTimeoutSeconds ?? STOP_SECONDS;
  if (seconds !== 0) {
    const signal = options.signal ?? record.stopSignal ?? SIGNALS.TERM;
    if (!signalContainer(state, signal)) return;
    noteEvent(engine, killEvent(record, signal));
    if (isPaused) thaw(state);
    const status = await waitForEnd(engine, record, seconds < 0 ? undefined : seconds * 1000);
    if (status?.kind !== "running") return noteEvent(engine, containerEvent(record, "stop"));
  }
  if (!signalContainer(state, SIGNALS.KILL)) return;
  noteEvent(engine, killEvent(record, SIGNALS.KILL));
  if ((await waitForEnd(engine, record, KILL_MS))?.kind === "running") {
    throw new DugoutError(
      "CONTAINER_STUCK",
      `Cannot stop the container "${record.name}": its processes do not end after SIGKILL`,
      { exitCode: 1, hint: "they wait for a device or a file server; try again later" },
    );
  }
  noteEvent(engine, containerEvent(record, "stop"));
}

/**
 * Sends a signal to a running container.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING, CONTAINER_ELSEWHERE.
 */
export function killContainer(engine: Engine, record: ContainerRecord, signal: number): void {
  const running = runningStatus(engine, record);
  if (running === undefined || !signalContainer(running.state, signal)) {
    throw new DugoutError(
      "CONTAINER_NOT_RUNNING",
      `cannot kill container: ${record.name}: container ${record.id.slice(0, 12)} is not running`,
      { exitCode: 1 },
    );
  }
  noteEvent(engine, killEvent(record, signal));
  if (running.isPaused && [SIGNALS.KILL, record.stopSignal ?? SIGNALS.TERM].includes(signal)) thaw(running.state);
}

function runningStatus(engine: Engine, record: ContainerRecord) {
  const status: ContainerStatus = readStatus(engine, record, whereabouts());
  if (status.kind === "elsewhere") {
    throw new DugoutError(
      "CONTAINER_ELSEWHERE",
      `Cannot reach the container "${record.name}": it was started on the machine "${status.machine}"`,
      { exitCode: 1, hint: "do it there" },
    );
  }
  return status.kind === "running" ? status : undefined;
}
