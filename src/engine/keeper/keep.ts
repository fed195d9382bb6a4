/**
 * The keeper: starts containers again as their restart policies say, and runs their health checks. One a store and user; it
 * is called by whoever starts such a container and by any command that finds one unattended, and leaves when there is none.
 * All that it knows is on disk, so that another one goes on where it was killed.
 *
 * @module
 */
import { leaveSession } from "#cgroup/own_scope.ts";
import { closeSync, watch } from "node:fs";
import { join } from "node:path";
import { close } from "#linux/file.ts";
import { DugoutError } from "#oci/error.ts";
import { listContainers } from "../record/containers.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { checkHealth } from "../health/check_health.ts";
import { type HealthConfig, healthConfigOf } from "../health/health_config.ts";
import { readHealth } from "../health/health_file.ts";
import { nextProbeMs } from "../health/judge.ts";
import { answerFailure } from "../life/answer_failure.ts";
import { startAgain } from "../life/start_again.ts";
import { leaveContainer } from "../life/stay_with_container.ts";
import { readBootId } from "#linux/proc.ts";
import type { ContainerState } from "../record/container_state.ts";
import { keeperDirectory, lockKeeper } from "./keeper_lock.ts";
import { giveUpRestart, isRestarting, postponeRestart, restartDueMs } from "./restart_plan.ts";
import { restartPolicyOf } from "./restart_policy.ts";
import { openWake, sleepAsTape, type Wake } from "./sleep_as_tape.ts";

/** A shorter sleep is not worth a start of the program. */
const SHORT_MS = 1_000;

/** A container that is just being started is looked at so often. */
const SETTLE_MS = 200;

/** Something to do for a container: from when on, and what. */
interface Duty {
  readonly id: string;
  readonly dueMs: number;
  readonly act: () => Promise<void>;
}

/** What there is to look after. */
interface Rounds {
  readonly duties: Duty[];
  /** Processes whose end matters. */
  readonly processes: ContainerState[];
  /** Containers that are looked after. */
  readonly ids: string[];
}

/**
 * Looks after containers until there are none to look after, or until it sleeps as a tape.
 * @param inherited The lock, in a keeper that was a tape.
 */
export async function keep(engine: Engine, inherited?: number): Promise<void> {
  if (inherited === undefined) leaveSession("keeper");
  let lock = inherited;
  for (;;) {
    lock ??= lockKeeper(engine);
    if (lock === undefined) return;
    const wake = openWake(engine);
    const end = await keepUntilQuiet(engine, lock, wake);
    close(wake.fd);
    closeSync(lock);
    lock = undefined;
    // whoever called while we were about to leave found the lock taken
    if (end === "asleep" || makeRounds(engine).ids.length === 0) return;
  }
}

async function keepUntilQuiet(engine: Engine, lock: number, wake: Wake): Promise<"asleep" | "nothing left"> {
  const busy = new Map<string, Promise<void>>();
  for (;;) {
    const { duties, processes, ids } = makeRounds(engine);
    if (ids.length === 0 && busy.size === 0) return "nothing left";
    const nowMs = Date.now();
    for (const { id, dueMs, act } of duties) {
      if (dueMs > nowMs || busy.has(id)) continue;
      busy.set(id, act().finally(() => busy.delete(id)));
    }
    const next = Math.min(...duties.filter(({ id }) => !busy.has(id)).map(({ dueMs }) => dueMs));
    const waitMs = next === Infinity ? undefined : Math.max(0, next - Date.now());
    if (busy.size === 0 && (waitMs === undefined || waitMs > SHORT_MS)) {
      sleepAsTape(engine, lock, wake, processes, waitMs);
      return "asleep";
    }
    await somethingHappens(engine, ids, busy.values(), waitMs);
  }
}

/** Looks at all containers, and writes down when those that have ended are due. */
function makeRounds(engine: Engine): Rounds {
  const rounds: Rounds = { duties: [], processes: [], ids: [] };
  const bootId = readBootId();
  for (const { record, status } of listContainers(engine).containers) {
    if (status.kind === "running") {
      const health = healthConfigOf(record);
      if (health === undefined && restartPolicyOf(record).kind === "no") continue;
      rounds.ids.push(record.id);
      rounds.processes.push(status.state);
      if (health !== undefined) rounds.duties.push(healthDuty(engine, record, status.state, health));
    } else if (status.kind === "created" && status.isStarting && restartPolicyOf(record).kind !== "no") {
      // a moment later it runs, or whoever started it was killed
      rounds.ids.push(record.id);
      rounds.duties.push({ id: record.id, dueMs: Date.now() + SETTLE_MS, act: () => Promise.resolve() });
    } else if (status.kind === "exited" && isRestarting(engine, record, status.end, bootId)) {
      rounds.ids.push(record.id);
      const dueMs = restartDueMs(engine, record, status.end, Date.now());
      rounds.duties.push({ id: record.id, dueMs, act: () => restart(engine, record) });
    }
  }
  return rounds;
}

function healthDuty(engine: Engine, record: ContainerRecord, state: ContainerState, config: HealthConfig): Duty {
  const dueMs = nextProbeMs(readHealth(engine, record.id, state.startedMs), config, state.startedMs);
  return {
    id: record.id,
    // a clock that was set back does not put a probe off
    dueMs: Math.min(dueMs, Date.now() + config.intervalMs),
    act: async () => {
      try {
        const { status } = await checkHealth(engine, record, state, config);
        if (status === "unhealthy" && config.onFailure !== undefined) {
          await answerFailure(engine, record, config.onFailure);
        }
      } catch {
        // a full disk, or it has just ended or was removed: the next round sees
      }
    },
  };
}

/** Starts a container once more; one that can never be started is left, with the error on record. */
async function restart(engine: Engine, record: ContainerRecord): Promise<void> {
  try {
    const outcome = await startAgain(engine, record, { isRestart: true });
    if (outcome.kind === "started") {
      await leaveContainer(engine, outcome.container.plan.directory, outcome.started);
    }
  } catch (error) {
    try {
      if (isForGood(error)) giveUpRestart(engine, record);
      else postponeRestart(engine, record, Date.now());
    } catch {
      // a full disk: it is tried again
    }
  }
}

/** Errors that another try does not mend. */
const FOR_GOOD: ReadonlySet<string> = new Set(["LAYERS_GONE", "IDS_CHANGED", "RECORD_OLD", "REQUEST_INVALID"]);

function isForGood(error: unknown): boolean {
  if (!(error instanceof DugoutError)) return false;
  return error.exitCode === 126 || error.exitCode === 127 || FOR_GOOD.has(error.code);
}

/** Waits while this process stays awake: for its own work, for a container, for being woken, or for a time. */
async function somethingHappens(
  engine: Engine,
  ids: readonly string[],
  busy: Iterable<Promise<void>>,
  waitMs: number | undefined,
): Promise<void> {
  using stack = new DisposableStack();
  const change = new Promise<void>((resolve) => {
    for (const path of [keeperDirectory(engine), ...ids.map((id) => join(engine.runRoot, "containers", id))]) {
      try {
        const watcher = watch(path, () => resolve());
        watcher.on("error", () => resolve());
        stack.defer(() => watcher.close());
      } catch {
        // it has just gone: the next round sees that
      }
    }
    const timer = setTimeout(resolve, Math.min(waitMs ?? SHORT_MS, SHORT_MS));
    stack.defer(() => clearTimeout(timer));
  });
  await Promise.race([change, ...busy]);
}
