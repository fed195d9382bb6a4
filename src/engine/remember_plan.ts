/**
 * Keeping what was planned for the next run of the same command: see `plan_key.ts` for what may not change until then,
 * and `run_again.ts` for how it is started.
 *
 * @module
 */
import { basename } from "node:path";
import { HOST_ARCH } from "#linux/arch.ts";
import type { RunOptions, RunRequest } from "#docker/run_request.ts";
import type { Relay } from "#runtime/setup.ts";
import { encodeTape } from "#tape/encode.ts";
import type { Prepared, RootSource } from "./prepare.ts";
import { type StoredPlan, writePlan } from "./plan_file.ts";
import { findHoles } from "./plan_holes.ts";
import type { PlanKey } from "./plan_key.ts";
import { needsOpening } from "./volume_mounts.ts";

/** A container that was started by its plan. */
export interface PlannedRun {
  readonly id: string;
  readonly request: RunRequest;
  readonly options: RunOptions;
  readonly rootMode: number;
  readonly streams: readonly boolean[];
  readonly relays: readonly Relay[];
  readonly hasTerminal: boolean;
  readonly record: Readonly<Record<string, unknown>>;
  readonly notices: readonly string[];
  /** Planned so that the tape makes its user namespace itself. */
  readonly prepared: Prepared;
}

/**
 * Whether a run can be remembered: it takes nothing from the machine that the key does not see (mounts, devices, other
 * containers), its root is mounted by the tape alone, and it goes when it ends.
 */
export function isRememberable(request: RunRequest, options: RunOptions, root: RootSource): boolean {
  const kinds = [request.network, request.pid, request.ipc, request.uts].map(({ kind }) => kind);
  return options.rm && !options.tty && !options.detach && options.rootfs === undefined && options.pull !== "always" &&
    options.cidfile === undefined && options.pidfile === undefined &&
    request.mounts.length === 0 && request.devices.length === 0 && !needsOpening(request, root.config) &&
    !kinds.includes("container") && root.rootfs.kind === "overlay";
}

/** What is kept of a run. */
export function describePlan(run: PlannedRun): StoredPlan {
  const { prepared, options } = run;
  const tape = encodeTape(prepared.tape, HOST_ARCH);
  return {
    tape,
    plan: {
      id: run.id,
      holes: findHoles(tape, run.id),
      errorFd: prepared.tape.errorFd,
      map: prepared.setup.map,
      uid: prepared.user.uid,
      streams: run.streams,
      relays: run.relays,
      hasTerminal: run.hasTerminal,
      rootMode: run.rootMode,
      files: prepared.files.map(({ path, text }) => ({ name: basename(path), text })),
      record: run.record,
      ...(options.name === undefined ? {} : { name: options.name }),
      signalProxy: options.sigProxy,
      notices: run.notices,
    },
  };
}

/** Keeps the plan of a run. A full disk costs only the memory of it. */
export function rememberPlan(runRoot: string, { hash }: PlanKey, run: PlannedRun): void {
  try {
    writePlan(runRoot, hash, describePlan(run));
  } catch {
    // planned again the next time
  }
}
