/**
 * One keeper a store: a lock in the runtime directory, which ends with the process that holds it.
 *
 *     RUN/keeper/STORE/lock    held by the keeper, also while it sleeps as a tape
 *     RUN/keeper/STORE/wake    written to wake it
 *
 * @module
 */
import { closeSync, constants, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashHex } from "#ffi/mod.ts";
import { batchJob } from "#linux/batch_job.ts";
import { spawn } from "#linux/spawn.ts";
import type { Fd } from "#linux/call.ts";
import { workerEnvironment } from "#runtime/launch_worker.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { tryLock } from "#storage/flock.ts";
import type { Engine } from "../engine.ts";

/** The first argument of a keeper; the data and the runtime directory follow. */
export const KEEPER_ARGUMENT = "__keeper";

type Places = Pick<Engine, "dataRoot" | "runRoot">;

/** The directory of a store's keeper: several stores may share a runtime directory. */
export function keeperDirectory({ dataRoot, runRoot }: Places): string {
  return join(runRoot, "keeper", hashHex("sha256", dataRoot).slice(0, 16));
}

/** Takes the lock. @returns Its descriptor, which holds it; undefined when there is a keeper. */
export function lockKeeper(places: Places): number | undefined {
  const directory = keeperDirectory(places);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // closing a file that was open for writing would wake the keeper
  const fd = openSync(join(directory, "lock"), constants.O_RDONLY | constants.O_CREAT, 0o600);
  if (tryLock(fd) === "locked") return fd;
  closeSync(fd);
  return undefined;
}

/** Wakes a keeper, if there is one: something that it looks after has gone. */
export function wakeKeeper(places: Places): void {
  try {
    writeFileSync(join(keeperDirectory(places), "wake"), "", { mode: 0o600 });
  } catch {
    // there was never any, or the disk is full: it looks when its time has come
  }
}

/**
 * Has a keeper look: wakes the one that is there, or starts one, which outlives this process and inherits nothing of it.
 * What there is to see must be written before.
 */
export function callKeeper(places: Places): void {
  // a job has none of its own (Slurm); what the command itself looks after goes on
  if (batchJob() !== undefined) return wakeKeeper(places);
  const lock = lockKeeper(places);
  if (lock === undefined) return wakeKeeper(places);
  closeSync(lock);
  const argv = [...ownCommand(), KEEPER_ARGUMENT, places.dataRoot, places.runRoot];
  const none = openSync("/dev/null", constants.O_RDWR) as Fd;
  try {
    spawn({
      path: argv[0]!,
      argv,
      env: workerEnvironment(),
      fds: [0, 1, 2].map((child) => ({ child, ours: none })),
      newSession: true,
    });
  } finally {
    closeSync(none);
  }
}
