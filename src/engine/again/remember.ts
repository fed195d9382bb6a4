/**
 * Keeping what was planned for the next run of the same command: a tape that does all of it, from looking whether it still
 * holds to the removal of the container. See `ground.ts` for what may not change until then, and `run_again.ts` for how it is
 * started.
 *
 * @module
 */
import { HOST_ARCH } from "#linux/arch.ts";
import { batchJob } from "#linux/batch_job.ts";
import type { RunOptions, RunRequest } from "#docker/run_request.ts";
import { planContainer, type TapeExtras } from "#runtime/container.ts";
import { findIdMapPrograms } from "#runtime/idmap_programs.ts";
import { holderIds } from "#runtime/holder/holder_record.ts";
import { GO_FD, READY_FD } from "#runtime/map_ids.ts";
import { LEFT } from "#runtime/monitor_steps.ts";
import type { Relay } from "#runtime/setup.ts";
import { encodeTape } from "#tape/encode.ts";
import { type ContainerDirectory, nameText } from "../record/container_directory.ts";
import type { Engine } from "../engine.ts";
import { isLimited } from "../prepare/limits.ts";
import type { Prepared, RootSource } from "../prepare/prepare.ts";
import { healthConfig } from "../health/health_config.ts";
import { needsOpening } from "../volumes/volume_mounts.ts";
import { ANSWER_BUFFER, factSteps } from "./facts.ts";
import type { Ground } from "./ground.ts";
import { findHoles, makeTokens, MOST_NAME_BYTES } from "./holes.ts";
import { makeSteps, type Making } from "./make_steps.ts";
import { namespaceTape } from "./namespace_tape.ts";
import { type StoredPlan, writePlan } from "./plan_file.ts";
import { NAME_BUFFER, removeSteps, tellRemovedSteps } from "./remove_steps.ts";

/** A container that was started by its plan. */
export interface PlannedRun {
  readonly key: string;
  readonly ground: Ground;
  readonly directory: ContainerDirectory;
  readonly request: RunRequest;
  readonly options: RunOptions;
  readonly rootMode: number;
  readonly streams: readonly boolean[];
  readonly relays: readonly Relay[];
  readonly hasTerminal: boolean;
  readonly record: Readonly<Record<string, unknown>>;
  readonly labels: ReadonlyMap<string, string>;
  readonly notices: readonly string[];
  /** Planned without a user namespace that somebody holds. */
  readonly prepared: Prepared;
  /** The monitor's own tape, where it keeps the output of a container that is left. */
  readonly monitor?: Uint8Array;
}

/**
 * Whether a run can be remembered: it takes nothing from the machine that the facts do not tell of (mounts, devices, other
 * containers), its root is made and mounted by the tape alone, and nobody but its monitor is needed at its end.
 */
export function isRememberable(request: RunRequest, options: RunOptions, root: RootSource): boolean {
  const kinds = [request.network, request.pid, request.ipc, request.uts, request.userns].map(({ kind }) => kind);
  return (options.detach ? isLeftAlone(request, options) : options.rm) && !options.tty &&
    options.rootfs === undefined && options.pull !== "always" &&
    options.cidfile === undefined && options.pidfile === undefined && (options.name ?? "").length <= MOST_NAME_BYTES &&
    request.userns.kind !== "nomap" && !isLimited(request.limits) && !request.security.writableCgroups &&
    request.mounts.length === 0 && request.devices.length === 0 &&
    !needsOpening(request, root.config) &&
    // the keeper is called by the whole way alone
    healthConfig(request.health, root.config) === undefined && !kinds.includes("container") &&
    // in networks it has an address of its own each time; and whether there are any may change
    request.network.kind !== "bridge" && (request.network.kind !== "default" || batchJob() !== undefined) &&
    root.rootfs.kind === "overlay";
}

/** Whether a container that its caller leaves is started but once, and as often as one likes: a name of its own is for one. */
function isLeftAlone({ restart }: RunRequest, { name }: RunOptions): boolean {
  return restart.kind === "no" && name === undefined;
}

/** What is kept of a run. */
export function describePlan(roots: Pick<Engine, "dataRoot" | "runRoot">, run: PlannedRun): StoredPlan {
  const { directory, options, prepared, monitor } = run;
  const tokens = makeTokens(directory.id);
  const { created, ownerPid, ownerStartTime, startedMs } = tokens;
  const name = options.name ?? tokens.name;
  const making: Making = {
    directory,
    nameFile: `${roots.dataRoot}/containers/names/${name}`,
    nameText: nameText(directory.id, ownerPid),
    rootMode: run.rootMode,
    files: prepared.files.map(({ path, text }) => ({ path, text, mode: 0o644 })),
    record: JSON.stringify({
      ...run.record,
      name,
      created,
      ownerPid,
      ownerStartTime,
      ...(monitor === undefined ? {} : { startedMs }),
    }),
    keepsOutput: monitor !== undefined,
  };
  const { map, parent } = prepared.setup;
  const programs = parent === undefined ? undefined : findIdMapPrograms();
  const held = programs === undefined ? undefined : { mapped: READY_FD, namespace: GO_FD };
  const planned = planContainer(prepared.setup, extrasOf(run.ground, making, held));
  const tape = encodeTape(planned, HOST_ARCH);
  return {
    tape,
    ...(monitor === undefined ? {} : { monitor }),
    namespace: parent === undefined || programs === undefined
      ? undefined
      : { tape: namespaceTape(parent.map, programs), ids: holderIds(parent.map) },
    plan: {
      key: run.key,
      dataRoot: roots.dataRoot,
      runRoot: roots.runRoot,
      holes: findHoles(tape, tokens),
      errorFd: planned.errorFd,
      map,
      uid: prepared.user.uid,
      streams: run.streams,
      relays: run.relays,
      hasTerminal: run.hasTerminal,
      ...(options.name === undefined ? {} : { name: options.name }),
      image: run.request.image,
      labels: [...run.labels],
      signalProxy: options.sigProxy,
      notices: run.notices,
      ...(monitor === undefined ? {} : {
        detached: { interactive: options.interactive, removes: options.rm, monitorBytes: monitor.length },
      }),
    },
  };
}

function extrasOf({ facts }: Ground, making: Making, held: TapeExtras["held"]): TapeExtras {
  const start = { before: factSteps(facts), meanwhile: makeSteps(making), held };
  // the monitor's own tape sees to its end
  if (making.keepsOutput) return { ...start, atEnd: [], afterEnd: [], buffers: [ANSWER_BUFFER] };
  const removal = removeSteps(making, LEFT);
  return {
    ...start,
    atEnd: [...removal.first, ...tellRemovedSteps()],
    afterEnd: removal.rest,
    buffers: [ANSWER_BUFFER, NAME_BUFFER],
  };
}

/** Keeps the plan of a run. A full disk costs only the memory of it. */
export function rememberPlan(roots: Pick<Engine, "dataRoot" | "runRoot">, run: PlannedRun): void {
  try {
    writePlan(roots.runRoot, describePlan(roots, run));
  } catch {
    // planned again the next time
  }
}
