/**
 * Whether a container that has ended is about to be started again, and when: from its record, its end, and what the keeper
 * has noted in `RUN/keeper/plans/ID`.
 *
 * @module
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerEnd } from "../record/container_end.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { wasStopped } from "../record/stop_marks.ts";
import { nextWaitMs, restartPolicyOf, wantsRestart } from "./restart_policy.ts";

type Places = Pick<Engine, "dataRoot" | "runRoot">;

/** What the keeper notes of one end. */
interface RestartNote {
  /** The start that this end belongs to. */
  readonly startedMs: number;
  readonly waitMs: number;
  /** When it is started; null: it could not be started, and is left. */
  readonly dueMs: number | null;
}

function notePath({ runRoot }: Pick<Engine, "runRoot">, id: string): string {
  return join(runRoot, "keeper/plans", id);
}

function readNote(places: Places, id: string): RestartNote | undefined {
  try {
    const value = JSON.parse(readFileSync(notePath(places, id), "utf8")) as Partial<RestartNote>;
    const { startedMs, waitMs, dueMs } = value;
    if (typeof startedMs !== "number" || typeof waitMs !== "number") return undefined;
    return { startedMs, waitMs, dueMs: typeof dueMs === "number" ? dueMs : null };
  } catch {
    return undefined;
  }
}

function writeNote(places: Places, id: string, note: RestartNote): void {
  const path = notePath(places, id);
  mkdirSync(join(places.runRoot, "keeper/plans"), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, JSON.stringify(note), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Whether its policy starts it again: it ended by itself in this boot, and was not given up. */
export function isRestarting(places: Places, record: ContainerRecord, end: ContainerEnd, bootId: string): boolean {
  const policy = restartPolicyOf(record);
  // after a reboot it is a user's unit or cron line that starts containers
  if (policy.kind === "no" || record.isNew || record.bootId !== bootId) return false;
  if (!wantsRestart(policy, end.exitCode, record.restartCount) || wasStopped(places, record.id)) return false;
  const note = readNote(places, record.id);
  return note === undefined || note.startedMs !== (record.startedMs ?? 0) || note.dueMs !== null;
}

/** When a container that is restarting is due; decided when it is asked for the first time after an end. */
export function restartDueMs(places: Places, record: ContainerRecord, end: ContainerEnd, nowMs: number): number {
  const startedMs = record.startedMs ?? 0;
  const note = readNote(places, record.id);
  // a clock that was set back does not keep a container waiting
  if (note?.startedMs === startedMs && note.dueMs !== null) return Math.min(note.dueMs, nowMs + note.waitMs);
  const ranMs = end.finishedMs === undefined ? undefined : end.finishedMs - startedMs;
  const waitMs = nextWaitMs(record.restartCount === 0 ? undefined : note?.waitMs, ranMs);
  writeNote(places, record.id, { startedMs, waitMs, dueMs: nowMs + waitMs });
  return nowMs + waitMs;
}

/** It could not be started: it is left, with the error on record, until somebody starts it. */
export function giveUpRestart(places: Places, record: ContainerRecord): void {
  writeNote(places, record.id, { startedMs: record.startedMs ?? 0, waitMs: 0, dueMs: null });
}

/** It could not be started now, perhaps later: what a keeper that was killed had begun is still on its way out. */
export function postponeRestart(places: Places, record: ContainerRecord, nowMs: number): void {
  const waitMs = nextWaitMs(readNote(places, record.id)?.waitMs, undefined);
  writeNote(places, record.id, { startedMs: record.startedMs ?? 0, waitMs, dueMs: nowMs + waitMs });
}

/** It is no more. */
export function forgetRestart(places: Places, id: string): void {
  rmSync(notePath(places, id), { force: true });
}
