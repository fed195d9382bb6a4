/**
 * Running a container by a remembered plan. The tape does all of it; here its holes are filled, it is started, and its end is
 * waited for:
 *
 *     key → plan → holes filled → player:  facts, name, directories, files, record    (ids are mapped meanwhile)
 *                                          container
 *                                          removal, where it left nothing
 *
 * It is a way of its own, so that nothing is loaded that plans, nor any of the runtime's own modules: node:fs alone takes a
 * millisecond. A plan that does not hold any more is forgotten, and the run begins anew, the whole way: its error is the one
 * that counts.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { GO_FD, READY_FD } from "#runtime/map_ids.ts";
import {
  exitCodeOf,
  launchContainer,
  lostMonitorError,
  type Running,
  type StartFds,
} from "#runtime/launch_container.ts";
import { type ContainerId, makeContainerId, makeContainerName } from "../record/container_id.ts";
import type { EngineOptions } from "../engine.ts";
import { containerEvent, dieEvents, type EventSubject, foregroundEvents, noteEvents } from "../events/events.ts";
import { followRun } from "../streams/follow_run.ts";
import { holdSignals } from "../streams/foreground.ts";
import { openStdio, type StdioFds } from "../streams/stdio.ts";
import { leaveDetached, lockOwn, openDetached } from "./detach_again.ts";
import { fillHoles, type OwnValues } from "./holes.ts";
import { type KeyInput, ownProgram, planKey, planPlaces } from "./key.ts";
import { obtainNamespace, type RunNamespace } from "./namespace.ts";
import { REMOVED_FLAG } from "./removed_flag.ts";
import {
  type DetachedPlan,
  findPlan,
  forgetPlan,
  type FoundPlan,
  type RememberedPlan,
  type StoredPlan,
} from "./plan_file.ts";
import { readStartTime } from "#linux/proc.ts";
import { stateOf } from "../record/container_state.ts";

/** A command line that may have been run before. */
export interface AgainInput {
  readonly options: EngineOptions;
  /** What stands behind `run`. */
  readonly words: readonly string[];
  /** Gets notices that concern the user, one line each. */
  readonly warn: (message: string) => void | Promise<void>;
  /** Gets what is to be shown on standard output. */
  readonly print: (text: string) => void | Promise<void>;
}

/** A plan that was read. */
type KnownPlan = Omit<StoredPlan, "namespace">;

/** Descriptors that a container is started with, besides its namespace's. */
type OwnFds = Pick<StartFds, "stdio" | "others" | "release">;

/** A step failed: what was remembered is not so any more. */
class StalePlanError extends Error {}

/**
 * Runs a command line as it was run before.
 * @returns The exit code; undefined where the whole way has to be gone, and nothing is left of this one.
 */
export async function runAgain(input: AgainInput): Promise<number | undefined> {
  const found = findKnown({ ...input.options, words: input.words });
  if (found === undefined) return undefined;
  // what takes longest first
  const namespace = found.namespace === undefined ? undefined : obtainNamespace(found.runRoot, found.namespace);
  let isReleased = false;
  const release = () => {
    if (!isReleased) namespace?.release();
    isReleased = true;
  };
  try {
    const stored = found.read();
    return stored === undefined ? undefined : await play(input, stored, namespace, release);
  } finally {
    release();
  }
}

/** Starts a container by its plan, and follows it to its end. @param release Lets go of the namespace. */
async function play(
  input: AgainInput,
  stored: KnownPlan,
  namespace: RunNamespace | undefined,
  release: () => void,
): Promise<number | undefined> {
  const { plan } = stored;
  if (plan.detached !== undefined) return await leave(input, stored, plan.detached, namespace, release);
  const stdio = openStdio(
    { stdin: streamOf(plan.streams, 0), stdout: streamOf(plan.streams, 1), stderr: streamOf(plan.streams, 2) },
    plan,
  );
  const shape = (relays: StdioFds["relays"], hasTerminal: boolean) => JSON.stringify([relays, hasTerminal]);
  if (shape(stdio.relays, stdio.hasTerminal) !== shape(plan.relays, plan.hasTerminal)) {
    stdio.close();
    return undefined;
  }
  for (const notice of plan.notices) await input.warn(notice);

  const own = makeOwn(plan);
  const signals = plan.signalProxy ? holdSignals() : undefined;
  let running: Running;
  try {
    fillHoles(stored.tape, plan.holes, own);
    running = start(stored, { ...stdio, others: stdio.relayFds, release: stdio.close }, namespace);
    namespace?.share();
    release();
  } catch (error) {
    signals?.release();
    stdio.close();
    await discard(plan, own, input.options);
    if (!(error instanceof StalePlanError)) throw error;
    forgetPlan(plan.runRoot, plan.key);
    return undefined;
  }
  return await follow(input, plan, { own, running, signals, startedMs: own.startedMs, subject: subjectOf(plan, own) });
}

/** Starts a container by its plan, tells its id, and leaves it to its monitor. */
async function leave(
  input: AgainInput,
  { plan, tape, monitor = new Uint8Array(0) }: KnownPlan,
  detached: DetachedPlan,
  namespace: RunNamespace | undefined,
  release: () => void,
): Promise<number | undefined> {
  for (const notice of plan.notices) await input.warn(notice);
  const own = makeOwn(plan);
  const lock = lockOwn(plan, own);
  const fds = openDetached(plan, detached, monitor, own);
  try {
    fillHoles(tape, plan.holes, own);
    const running = start({ plan, tape }, fds, namespace);
    namespace?.share();
    release();
    leaveDetached(plan, own, running, subjectOf(plan, own));
  } catch (error) {
    await discard(plan, own, input.options);
    (await import("../record/lock_container.ts")).forgetLock(plan, own.id);
    if (!(error instanceof StalePlanError)) throw error;
    forgetPlan(plan.runRoot, plan.key);
    return undefined;
  } finally {
    fds.close();
    if (lock !== undefined) close(lock);
  }
  await input.print(`${own.id}\n`);
  return 0;
}

function makeOwn(plan: RememberedPlan): OwnValues {
  const startedMs = Date.now();
  return {
    id: makeContainerId(),
    name: plan.name ?? makeContainerName(),
    created: new Date(startedMs).toISOString(),
    ownerPid: process.pid,
    ownerStartTime: readStartTime(process.pid) ?? "",
    startedMs,
  };
}

function subjectOf({ image, labels }: RememberedPlan, { id, name }: OwnValues): EventSubject {
  return { id, name, image, labels: new Map(labels) };
}

/** A container that runs. */
interface Started {
  readonly own: OwnValues;
  readonly running: Running;
  readonly signals: ReturnType<typeof holdSignals> | undefined;
  readonly startedMs: number;
  readonly subject: EventSubject;
}

/** Follows it to its end, and sees to it that it is gone. Of one that is over in a moment nobody needs to know where it ran. */
async function follow({ options }: AgainInput, plan: RememberedPlan, started: Started): Promise<number> {
  const { own, running, signals, startedMs, subject } = started;
  const begin = foregroundEvents(subject, startedMs);
  let stayed: Promise<void> | undefined;
  const word = await followRun(
    running,
    `${plan.runRoot}/containers/${own.id}`,
    signals,
    () => openEngine(options),
    () => {
      noteEvents(plan, begin);
      stayed = tellWhere(plan, started);
    },
  );
  await stayed;

  const { status, removed } = readWord(word);
  const isOurs = removed ? await removeState(plan, own.id, stayed !== undefined) : await discard(plan, own, options);
  const exitCode = status === undefined ? undefined : exitCodeOf(status);
  const end = isOurs
    ? [...dieEvents(subject, { exitCode, startedMs }, Date.now()), containerEvent(subject, "destroy")]
    : [];
  noteEvents(plan, stayed === undefined ? [...begin, ...end] : end);
  if (exitCode === undefined) throw lostMonitorError("while it ran");
  return exitCode;
}

/** What the monitor told: the wait status, and whether the container is removed. */
function readWord(word: number | undefined): { status: number | undefined; removed: boolean } {
  if (word === undefined) return { status: undefined, removed: false };
  return { status: word & 0xffff, removed: (word & REMOVED_FLAG) !== 0 };
}

/** The plan of a command line. */
function findKnown(input: KeyInput): FoundPlan | undefined {
  const program = ownProgram();
  if (program === undefined) return undefined;
  try {
    const key = planKey(input, program);
    for (const place of planPlaces(input)) {
      const found = findPlan(place, key);
      if (found !== undefined) return found;
    }
  } catch {
    // the whole way will tell what is wrong
  }
  return undefined;
}

function streamOf(streams: readonly boolean[], fd: number): Fd | undefined {
  return streams[fd] === true ? fd as Fd : undefined;
}

/** Starts the tape. @throws {StalePlanError} When a step of it failed, or there is no namespace for it. */
function start({ plan, tape }: KnownPlan, fds: OwnFds, namespace: RunNamespace | undefined): Running {
  const others = [...fds.others];
  if (namespace !== undefined) {
    const ours = namespace.open();
    if (ours === undefined) throw new StalePlanError("the user namespace cannot be made");
    others.push({ child: READY_FD, ours: namespace.mapped }, { child: GO_FD, ours });
  }
  return launchContainer({
    tape: { bytes: tape, errorFd: plan.errorFd },
    // the tape makes its user namespace itself, or joins the one that is held
    map: undefined,
    monitorGoesOn: true,
    describeFailure: ({ index }) => new StalePlanError(`step ${index} of a remembered plan failed`),
  }, { stdio: fds.stdio, others, state: undefined, release: () => fds.release() });
}

/** Writes down where it runs, for other commands. */
async function tellWhere(plan: RememberedPlan, { own, running, startedMs }: Started): Promise<void> {
  const { writeState } = await import("../record/state.ts");
  writeState(plan, stateOf({ id: own.id as ContainerId, name: own.name, running, map: plan.map, startedMs }));
}

/** Removes what {@linkcode tellWhere} may have written while the tape removed all else. */
async function removeState(plan: RememberedPlan, id: string, wasWritten: boolean): Promise<true> {
  if (wasWritten) (await import("../record/container_directory.ts")).removeStateDirectory(plan.runRoot, id);
  return true;
}

/** Removes all that the container has on disk, as `remove.ts` does. @returns Whether it was there. */
async function discard(plan: RememberedPlan, { id, name }: OwnValues, options: EngineOptions): Promise<boolean> {
  const directories = await import("../record/container_directory.ts");
  const directory = directories.containerDirectory(plan.dataRoot, plan.runRoot, id as ContainerId);
  const gone = directories.gonePath(directory);
  const result = directories.removeContainerDirectory(directory, gone);
  if (result === "left") await (await import("../own_trees.ts")).removeWithAllIds(await openEngine(options), gone);
  directories.releaseName(plan.dataRoot, name, id);
  return result !== "was gone";
}

async function openEngine(options: EngineOptions) {
  return (await import("../engine.ts")).openEngine(options);
}
