/**
 * Containers that live on, as a script sees them.
 *
 * @module
 */
import { type Pid, tryCall } from "#linux/call.ts";
import { parseSignal } from "#linux/signals.ts";
import { WNOHANG } from "#linux/wait.ts";
import { DugoutError } from "#oci/error.ts";
import { describeContainer, stateWord } from "../describe/describe_container.ts";
import { type Engine, openEngine } from "../engine.ts";
import { wakeKeeper } from "../keeper/keeper_lock.ts";
import { restartPolicyOf } from "../keeper/restart_policy.ts";
import { removeContainer } from "../life/remove_container.ts";
import { restartContainer } from "../life/restart_container.ts";
import { runKept } from "../life/run_kept.ts";
import { waitForExitCode } from "../life/signal_container.ts";
import { startAgain } from "../life/start_again.ts";
import { leaveContainer } from "../life/stay_with_container.ts";
import { killContainer, stopContainer } from "../life/stop_container.ts";
import { sweepContainers } from "../life/sweep.ts";
import { type ContainerRecord, readRecord } from "../record/container_record.ts";
import { findContainer, listContainers, lookForContainer, readStatus } from "../record/containers.ts";
import { noteStop } from "../record/stop_marks.ts";
import { whereabouts } from "../record/whereabouts.ts";
import { execIn, type ExecOptions, type ExecProcess } from "./exec.ts";
import { type LogChunk, type LogOptions, readLogs } from "./logs.ts";
import { type ContainerOptions, type EnginePlaces, readContainerOptions, readPlaces } from "./options.ts";
import type { ProgramOptions } from "./program.ts";
import { fetchFor } from "./run.ts";

/** How a container is started that lives on: its output is kept, and nothing is connected to this program. */
export type StartOptions = Omit<ContainerOptions, Exclude<keyof ProgramOptions, "signal">>;

/** How a container is ended. */
export interface StopOptions {
  /** Instead of its own, which is SIGTERM where the image names none. */
  readonly signal?: string | number;
  /** From there to SIGKILL; its own or 10, unless it is said otherwise. Below 0: without end. */
  readonly timeoutSeconds?: number;
}

/** How a container is removed. */
export interface RemoveOptions {
  /** Kill it first, where it runs. */
  readonly force?: boolean;
  /** With the volumes without a name that were made for it. */
  readonly volumes?: boolean;
}

/** What `docker inspect` tells of a container; only some of it is spelled out here. */
export interface ContainerDetails {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly StartedAt: string;
    readonly FinishedAt: string;
    readonly Health?: { readonly Status: string };
  };
  readonly [key: string]: unknown;
}

/** A container in a list. */
export interface ContainerSummary {
  readonly id: string;
  readonly name: string;
  readonly image: string | undefined;
  /** Docker's word: `running`, `exited`, `created` … */
  readonly state: string;
  readonly created: Date;
  readonly labels: ReadonlyMap<string, string>;
}

/**
 * A container that lives on without this program. `await using` kills and removes it at the end of the block. Made by
 * {@linkcode start}, found by {@linkcode container}.
 */
export class Container implements AsyncDisposable {
  readonly id: string;
  /** As it was when this was made. */
  readonly name: string;
  readonly #engine: Engine;
  /** Monitors that this program started, and that nobody else can wait for. */
  #monitors: Pid[] = [];

  constructor(engine: Engine, { id, name }: { id: string; name: string }, monitor?: Pid) {
    this.#engine = engine;
    this.id = id;
    this.name = name;
    if (monitor !== undefined) this.#monitors.push(monitor);
  }

  /** Runs a program in it. @param command The program and its arguments. */
  exec(command: readonly string[], options: ExecOptions = {}): ExecProcess {
    return execIn(this.#engine, this.id, command, options);
  }

  /** What it has written, piece by piece. */
  logs(options: LogOptions = {}): AsyncGenerator<LogChunk> {
    return readLogs(this.#engine, this.#record(), options);
  }

  /** What docker tells of it. */
  inspect(): Promise<ContainerDetails> {
    return this.#do((record) => {
      const status = readStatus(this.#engine, record, whereabouts());
      return toObject(describeContainer(this.#engine, { record, status }, undefined)) as ContainerDetails;
    });
  }

  /** Starts it again; one that runs is left alone. */
  start(): Promise<void> {
    return this.#do(async (record) => {
      const outcome = await startAgain(this.#engine, record);
      if (outcome.kind === "running") return;
      this.#monitors.push(outcome.started.running.monitor);
      await leaveContainer(this.#engine, outcome.container.plan.directory, outcome.started);
    });
  }

  /** Asks it to end, and kills it when it has not ended in time. One that does not run is no error. */
  stop(options: StopOptions = {}): Promise<void> {
    return this.#do(async (record) => {
      noteStop(this.#engine, this.id);
      await stopContainer(this.#engine, record, readStop(options));
      if (restartPolicyOf(record).kind !== "no") wakeKeeper(this.#engine);
    });
  }

  restart(options: StopOptions = {}): Promise<void> {
    return this.#do(async (record) => {
      const monitor = await restartContainer(this.#engine, record, readStop(options));
      if (monitor !== undefined) this.#monitors.push(monitor);
    });
  }

  /** Sends a signal to its first process. */
  kill(signal: string | number = "SIGKILL"): Promise<void> {
    return this.#do((record) => killContainer(this.#engine, record, readSignal(signal)));
  }

  /** Waits for its end. @returns Its exit code. */
  wait(): Promise<number> {
    return this.#do((record) => waitForExitCode(this.#engine, record));
  }

  /** Removes it, and all that it has on disk. */
  remove({ force = false, volumes = false }: RemoveOptions = {}): Promise<void> {
    return this.#do(async (record) => {
      await removeContainer(this.#engine, { id: this.id, record }, { force, volumes });
    });
  }

  /** Kills and removes it, with the volumes that were made for it; one that is gone is no error. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (lookForContainer(this.#engine, this.id) !== undefined) await this.remove({ force: true, volumes: true });
    this.#reap();
  }

  async #do<Value>(act: (record: ContainerRecord) => Value | Promise<Value>): Promise<Value> {
    try {
      return await act(this.#record());
    } finally {
      this.#reap();
    }
  }

  #record(): ContainerRecord {
    const record = readRecord(this.#engine.dataRoot, this.id);
    if (record !== undefined) return record;
    throw new DugoutError("CONTAINER_UNKNOWN", `No such container: ${this.name}`);
  }

  /** Lets the kernel forget monitors that have ended. */
  #reap(): void {
    this.#monitors = this.#monitors.filter((pid) => tryCall("wait4", pid, 0, WNOHANG, 0) === 0);
  }
}

/**
 * Starts a container that lives on, as `dugout run -d` does: this program may end. Its output is kept, and nothing is removed
 * when it ends, unless `rm` is true.
 *
 *     await using db = await start({ image: "postgres", env: { POSTGRES_PASSWORD: "x" }, network: "none" });
 *     const { stdout } = await db.exec(["psql", "-U", "postgres", "-c", "select 1"]);
 */
export async function start(options: StartOptions): Promise<Container> {
  options.signal?.throwIfAborted();
  const read = readContainerOptions(options, false);
  const engine = openEngine(readPlaces(options));
  let container: Container | undefined;
  await runKept({
    engine,
    request: read.request,
    options: { ...read.options, detach: true },
    streams: { stdin: undefined, stdout: undefined, stderr: undefined },
    fetchImage: fetchFor(engine, read.options.platform, options.signal),
    started: ({ id, name, running }) => void (container = new Container(engine, { id, name }, running.monitor)),
  });
  return container!;
}

/**
 * Finds a container by its name, its id, or the beginning of one.
 * @throws {DugoutError} CONTAINER_UNKNOWN, CONTAINER_AMBIGUOUS, CONTAINER_DAMAGED.
 */
export function container(name: string, places: EnginePlaces = {}): Promise<Container> {
  return Promise.resolve().then(() => {
    const engine = openEngine(readPlaces(places));
    const { id, record } = findContainer(engine, name);
    if (record !== undefined) return new Container(engine, record);
    throw new DugoutError("CONTAINER_DAMAGED", `Cannot use the container ${id.slice(0, 12)}: its record is damaged`);
  });
}

/** The containers of the store, the newest first: those that run, or all of them. */
export async function containers(options: EnginePlaces & { readonly all?: boolean } = {}): Promise<ContainerSummary[]> {
  const engine = openEngine(readPlaces(options));
  await sweepContainers(engine);
  return listContainers(engine).containers
    .filter(({ status }) => options.all === true || status.kind === "running")
    .map(({ record: { id, name, image, created, labels }, status }) => ({
      id,
      name,
      image,
      state: stateWord(status),
      created: new Date(created),
      labels,
    }));
}

function readStop({ signal, timeoutSeconds }: StopOptions): Parameters<typeof stopContainer>[2] {
  return { signal: signal === undefined ? undefined : readSignal(signal), timeoutSeconds };
}

function readSignal(signal: string | number): number {
  const number = parseSignal(String(signal));
  if (number !== undefined) return number;
  throw new DugoutError("OPTION_INVALID", `Cannot send ${JSON.stringify(signal)}: no signal`);
}

/** Maps, which hold keys from outside, as objects of such keys: what a script reads as JSON. */
function toObject(value: unknown): unknown {
  if (value instanceof Map) return toObject(Object.fromEntries(value));
  if (Array.isArray(value)) return value.map(toObject);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, toObject(inner)]));
}
