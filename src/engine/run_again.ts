/**
 * Running a container by a remembered plan: what is the same as the last time is not worked out again. It is a way of its
 * own, so that nothing is loaded that plans.
 *
 *     key → plan → directories → player → (ids are mapped) files, record → state → the time it runs → removal
 *
 * A plan whose start fails is forgotten, and the run begins anew, the whole way: its error is the one that counts.
 *
 * @module
 */
import { join } from "node:path";
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { mapText } from "#linux/idmap.ts";
import { exitCodeOf, launchContainer, lostMonitorError, type Running } from "#runtime/launch_container.ts";
import { openDataRoot } from "#storage/data_root.ts";
import {
  type ContainerDirectory,
  containerDirectory,
  gonePath,
  makeContainerDirectory,
  releaseName,
  removeContainerDirectory,
  takeName,
  writeContainerFile,
  writeRecord,
} from "./container_directory.ts";
import { makeContainerId } from "./container_id.ts";
import type { Engine, EngineOptions } from "./engine.ts";
import { containerEvent, dieEvent, type EventSubject, foregroundEvents, noteEvents } from "./events.ts";
import { followRun } from "./follow_run.ts";
import { holdSignals } from "./foreground.ts";
import { dataRootPath, openRunRoot } from "./paths.ts";
import { forgetPlan, readPlan, type StoredPlan } from "./plan_file.ts";
import { fillHoles, replaceId } from "./plan_holes.ts";
import { makePlanKey, ownProgram } from "./plan_key.ts";
import { readBootId, readStartTime, writeState } from "./state.ts";
import { openStdio, type StdioFds } from "./stdio.ts";
import { whereabouts } from "./whereabouts.ts";

/** A command line that may have been run before. */
export interface AgainInput {
  readonly options: EngineOptions;
  /** What stands behind `run`. */
  readonly words: readonly string[];
  /** Gets notices that concern the user, one line each. */
  readonly warn: (message: string) => void | Promise<void>;
}

/** Where things are; what the whole way has as an engine. */
type Roots = Pick<Engine, "dataRoot" | "runRoot">;

/** A step failed: what was remembered is not so any more. */
class StalePlanError extends Error {}

/**
 * Runs a command line as it was run before.
 * @returns The exit code; undefined where the whole way has to be gone, and nothing is left of this one.
 */
export async function runAgain(input: AgainInput): Promise<number | undefined> {
  const notices: string[] = [];
  const found = findPlan(input, (notice) => notices.push(notice));
  if (found === undefined) return undefined;
  const { roots, hash, stored: { plan } } = found;
  const stdio = openStdio(
    { stdin: streamOf(plan.streams, 0), stdout: streamOf(plan.streams, 1), stderr: streamOf(plan.streams, 2) },
    plan.uid,
  );
  const shape = (relays: StdioFds["relays"], hasTerminal: boolean) => JSON.stringify([relays, hasTerminal]);
  if (shape(stdio.relays, stdio.hasTerminal) !== shape(plan.relays, plan.hasTerminal)) {
    stdio.close();
    return undefined;
  }
  for (const notice of [...notices, ...plan.notices]) await input.warn(notice);

  const id = makeContainerId();
  const directory = containerDirectory(roots.dataRoot, roots.runRoot, id);
  const name = takeName(roots.dataRoot, id, plan.name);
  const signals = plan.signalProxy ? holdSignals() : undefined;
  const openEngine = async () => (await import("./engine.ts")).openEngine(input.options);
  let running: Running;
  try {
    running = startAgain(found.stored, directory, name, stdio);
  } catch (error) {
    signals?.release();
    stdio.close();
    await discard(directory, gonePath(directory), openEngine);
    releaseName(roots.dataRoot, name, id);
    if (!(error instanceof StalePlanError)) throw error;
    forgetPlan(roots.runRoot, hash);
    return undefined;
  }
  const startedMs = Date.now();
  writeState(roots, {
    id,
    name,
    pid: running.pid,
    monitor: running.monitor,
    startTime: readStartTime(running.pid) ?? "",
    bootId: readBootId(),
    map: mapText(plan.map.uid),
    startedMs,
  });
  const subject = subjectOf(plan.record, id, name);
  noteEvents(roots, foregroundEvents(subject, startedMs));

  const gone = gonePath(directory);
  const status = await followRun(running, directory, signals, openEngine);
  const endedMs = Date.now();
  const wasThere = await discard(directory, gone, openEngine);
  releaseName(roots.dataRoot, name, id);
  if (wasThere) {
    const exitCode = status === undefined ? undefined : exitCodeOf(status);
    noteEvents(roots, [dieEvent(subject, { exitCode, startedMs }, endedMs), containerEvent(subject, "destroy")]);
  }
  if (status === undefined) throw lostMonitorError("while it ran");
  return exitCodeOf(status);
}

interface Found {
  readonly roots: Roots;
  readonly hash: string;
  readonly stored: StoredPlan;
}

/** The plan of a command line. Whatever is wrong with the directories, the whole way will say it. */
function findPlan({ options, words }: AgainInput, warn: (message: string) => void): Found | undefined {
  const program = ownProgram();
  if (program === undefined) return undefined;
  try {
    const request = { root: options.root, run: options.run, env: process.env, uid: process.geteuid!() };
    const roots = { dataRoot: openDataRoot(dataRootPath(request)), runRoot: openRunRoot(request, warn) };
    const { hash } = makePlanKey({ ...roots, storageDriver: options.storageDriver, words }, program);
    const stored = readPlan(roots.runRoot, hash);
    return stored === undefined ? undefined : { roots, hash, stored };
  } catch {
    return undefined;
  }
}

function streamOf(streams: readonly boolean[], fd: number): Fd | undefined {
  return streams[fd] === true ? fd as Fd : undefined;
}

/** What the events of the container tell of it. */
function subjectOf({ image, labels }: StoredPlan["plan"]["record"], id: string, name: string): EventSubject {
  return {
    id,
    name,
    image: typeof image === "string" ? image : undefined,
    labels: new Map(Object.entries((labels ?? {}) as Record<string, string>)),
  };
}

/** Removes all that the container has on disk, as `remove.ts` does. */
async function discard(
  directory: ContainerDirectory,
  gone: string,
  openEngine: () => Promise<Engine>,
): Promise<boolean> {
  const result = removeContainerDirectory(directory, gone);
  if (result === "left") await (await import("./remove.ts")).removeGone(await openEngine(), gone);
  return result !== "was gone";
}

/** Makes the container's directories and starts its tape. @throws {StalePlanError} When a step of it failed. */
function startAgain({ plan, tape }: StoredPlan, directory: ContainerDirectory, name: string, stdio: StdioFds): Running {
  makeContainerDirectory(directory, plan.rootMode);
  fillHoles(tape, plan.holes, directory.id);
  const writeFiles = () => {
    for (const file of plan.files) {
      writeContainerFile(join(directory.path, file.name), replaceId(file.text, plan.id, directory.id));
    }
    const { id } = directory;
    writeRecord(directory, { ...plan.record, id, name, created: new Date().toISOString(), ...whereabouts() });
  };
  const state = openAt(AT_FDCWD, directory.state, O_RDONLY | O_DIRECTORY);
  return launchContainer({
    tape: { bytes: tape, errorFd: plan.errorFd },
    map: plan.map,
    describeFailure: ({ index }) => new StalePlanError(`step ${index} of a remembered plan failed`),
    meanwhile: writeFiles,
  }, {
    stdio: stdio.stdio,
    others: stdio.relayFds,
    state,
    release() {
      close(state);
      stdio.close();
    },
  });
}
