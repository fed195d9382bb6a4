/**
 * Containers on record, and what has become of them: state is believed while its boot and its process are the same
 * (C-059), and made again from living processes where it is gone (C-058).
 *
 * @module
 */
import { join } from "node:path";
import { findGroup, isFrozen } from "#cgroup/find_group.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { type ContainerEnd, isOfEarlierStart, readEnd, readExitRecord, writeEnd } from "./container_end.ts";
import { type ContainerRecord, listRecords, readRecord } from "./container_record.ts";
import type { Engine } from "../engine.ts";
import { dieEvents, noteEvents } from "../events/events.ts";
import { findLiving, findMonitor } from "./find_living.ts";
import { isRestarting } from "../keeper/restart_plan.ts";
import type { ContainerState } from "./container_state.ts";
import { readState, readStateText, writeState } from "./state.ts";
import { isOwnerAlive, seenFrom, type Whereabouts, whereabouts } from "./whereabouts.ts";

/** What has become of a container. */
export type ContainerStatus =
  /** It has not been started, or is just being; `end` tells of a start that failed. */
  | { readonly kind: "created"; readonly isStarting: boolean; readonly end?: ContainerEnd | undefined }
  | { readonly kind: "running"; readonly state: ContainerState; readonly isPaused?: boolean }
  /** `isRestarting`: its restart policy is about to start it again. */
  | { readonly kind: "exited"; readonly end: ContainerEnd; readonly isRestarting?: boolean }
  /** It was started on another machine that shares this store: from here nobody can tell. */
  | { readonly kind: "elsewhere"; readonly machine: string };

/** A container, and what has become of it. */
export interface Container {
  readonly record: ContainerRecord;
  readonly status: ContainerStatus;
}

/** All containers, the newest first, and the ids of those whose record cannot be read. */
export function listContainers(engine: Engine): { containers: Container[]; damaged: string[] } {
  const { records, damaged } = listRecords(engine.dataRoot);
  const here = whereabouts();
  const containers = records
    .sort((a, b) => b.created.localeCompare(a.created) || a.id.localeCompare(b.id))
    .map((record) => ({ record, status: readStatus(engine, record, here) }));
  return { containers, damaged };
}

/** What has become of a container. An end that only the runtime directory knows is written beside the record. */
export function readStatus(engine: Engine, record: ContainerRecord, here: Whereabouts): ContainerStatus {
  const status = findStatus(engine, record, here);
  if (status.kind !== "exited" || !isRestarting(engine, record, status.end, here.bootId)) return status;
  return { ...status, isRestarting: true };
}

function findStatus(engine: Engine, record: ContainerRecord, here: Whereabouts): ContainerStatus {
  const directory = join(engine.dataRoot, "containers", record.id);
  const written = readEnd(directory);
  if (record.isNew) return { kind: "created", isStarting: false, end: written };
  if (written !== undefined && !isOfEarlierStart(written, record.startedMs)) return { kind: "exited", end: written };
  const seen = seenFrom(record, here);
  if (seen === "elsewhere") return { kind: "elsewhere", machine: record.machine };
  if (seen === "before") {
    return noteEnd(engine, record, { exitCode: undefined, startedMs: record.startedMs, finishedMs: undefined });
  }

  // asked first: one that ends between the looks has written where the container runs
  const isOwned = isOwnerAlive(record);
  const state = readState(engine, record.id);
  if (state !== undefined) return runningStatus(state);
  const before = readStateText(engine, record.id);
  const monitor = findMonitor(record.id, before?.monitor);
  const living = monitor === undefined ? undefined : findLiving(record, monitor);
  if (living !== undefined) {
    writeState(engine, living);
    return runningStatus(living);
  }
  // looked at behind the monitor, which leaves it when it goes
  const exit = readExitRecord(join(engine.runRoot, "containers", record.id)) ?? readExitRecord(directory);
  const startedMs = before?.startedMs ?? record.startedMs;
  if (exit !== undefined) return noteEnd(engine, record, { ...exit, startedMs });
  // the first process has ended, and the monitor is about to say how
  if (monitor !== undefined && before !== undefined) return { kind: "running", state: before };
  // the command may have written the end between two of these looks
  const last = readEnd(directory);
  if (last !== undefined && !isOfEarlierStart(last, record.startedMs)) return { kind: "exited", end: last };
  if (monitor !== undefined || isOwned) return { kind: "created", isStarting: true };
  return noteEnd(engine, record, { exitCode: undefined, startedMs, finishedMs: undefined });
}

/** Frozen or not: its group says it. */
function runningStatus(state: ContainerState): ContainerStatus {
  return { kind: "running", state, ...(isFrozen(findGroup(state.id, state.pid)?.path) ? { isPaused: true } : {}) };
}

function noteEnd(engine: Engine, record: ContainerRecord, end: ContainerEnd): ContainerStatus {
  // the command that runs it is about to remove it: nothing new is put into its way
  if (record.rm && isOwnerAlive(record)) return { kind: "exited", end };
  try {
    if (writeEnd(join(engine.dataRoot, "containers", record.id), end)) {
      noteEvents(engine, dieEvents(record, end, end.finishedMs ?? Date.now()));
    }
  } catch {
    // a full disk, or the container is just being removed: it is told all the same
  }
  return { kind: "exited", end };
}

/** A container that was found by a name; its record may be unreadable. */
export interface FoundContainer {
  readonly id: string;
  readonly record: ContainerRecord | undefined;
}

/**
 * Finds a container by name, id, or the beginning of an id.
 * @throws {DugoutError} CONTAINER_UNKNOWN, CONTAINER_AMBIGUOUS.
 */
export function findContainer(engine: Engine, text: string): FoundContainer {
  const found = lookForContainer(engine, text);
  if (found === undefined) {
    throw new DugoutError("CONTAINER_UNKNOWN", `No such container: ${text}`);
  }
  return found;
}

/** The same; undefined where there is none. */
export function lookForContainer(engine: Engine, text: string): FoundContainer | undefined {
  const wanted = text.startsWith("/") ? text.slice(1) : text;
  if (/^[0-9a-f]{64}$/.test(wanted)) {
    const record = readRecord(engine.dataRoot, wanted);
    if (record !== undefined) return { id: wanted, record };
  }
  const { records, damaged } = listRecords(engine.dataRoot);
  const named = records.find(({ name }) => name === wanted);
  if (named !== undefined) return { id: named.id, record: named };
  const matching = /^[0-9a-f]{1,64}$/.test(wanted)
    ? [...records.map(({ id }) => id), ...damaged].filter((id) => id.startsWith(wanted))
    : [];
  if (matching.length > 1) {
    throw new DugoutError(
      "CONTAINER_AMBIGUOUS",
      `Cannot tell which container ${quote(text)} is: ${matching.length} ids begin so`,
    );
  }
  const id = matching[0];
  return id === undefined ? undefined : { id, record: records.find((record) => record.id === id) };
}

/** The exit code that a container is said to have: 255 where nobody knows, as docker has it after a crash. */
export function shownExitCode({ status }: Pick<Container, "status">): number {
  return status.kind === "exited" ? status.end.exitCode ?? 255 : 0;
}
