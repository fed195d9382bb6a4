/**
 * Running a container in the foreground: image, layers, directory, start, the time that it runs, its end.
 *
 * @module
 */
import * as fs from "node:fs";
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { type IdMap, mapText } from "#linux/idmap.ts";
import { readTerminalSize } from "#linux/terminal.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import type { RunOptions, RunRequest } from "#docker/run_request.ts";
import { exitCodeOf, lostMonitorError, type Running } from "#runtime/launch_container.ts";
import { startContainer } from "#runtime/start.ts";
import { holdUserNamespace } from "#runtime/user_namespace.ts";
import type { StdioPlan } from "#runtime/setup.ts";
import type { ResolvedUser } from "#runtime/users.ts";
import type { Tape } from "#tape/step.ts";
import { checkContainerName, type ContainerId, makeContainerId } from "./container_id.ts";
import {
  type ContainerDirectory,
  containerDirectory,
  makeContainerDirectory,
  takeName,
  writeContainerFile,
  writeRecord,
} from "./container_directory.ts";
import {
  labelsOf,
  makeRecord,
  readRecord,
  type RecordedMount,
  type RecordInput,
  recordMounts,
} from "./container_record.ts";
import { type ContainerEnd, writeEnd } from "./container_end.ts";
import type { Engine } from "./engine.ts";
import { containerEvent, dieEvent, type EventSubject, foregroundEvents, noteEvents } from "./events.ts";
import { followRun } from "./follow_run.ts";
import { type ForegroundOptions, type HeldSignals, holdSignals } from "./foreground.ts";
import { makeTreeDirectories } from "./host_tree.ts";
import { copyLayers } from "./layers.ts";
import { isNoexec } from "./paths.ts";
import { checkNetwork, chooseUser, earlyMap, prepareContainer, type Prepared, type RootSource } from "./prepare.ts";
import type { PlanKey } from "./plan_key.ts";
import { isRememberable, rememberPlan } from "./remember_plan.ts";
import { discardContainer, forgetContainer, ownVolumes } from "./remove.ts";
import { openRoot } from "./root.ts";
import { readBootId, readStartTime, writeState } from "./state.ts";
import type { OpenedMounts } from "./open_mounts.ts";
import { needsOpening, type OpenedMount, plainMounts } from "./volume_mounts.ts";
import { openStdio, type StdioFds, type StreamSources } from "./stdio.ts";

/** What a run is given beside the request. */
export interface RunInput {
  readonly engine: Engine;
  readonly request: RunRequest;
  readonly options: RunOptions;
  /** Descriptors of ours that the container's streams are; with a terminal they are relayed instead. */
  readonly streams: StreamSources;
  /** Gets the image where it is not there: pulls it. Absent: that is an error. */
  readonly fetchImage?: (text: string) => Promise<void>;
  /** Gets the planned tape and gives the one to play: how a step is made to fail, or a tape to be looked at. */
  readonly transformTape?: (tape: Tape) => Tape;
  /** The words of a command line that say all that is asked for: the plan is remembered for them. */
  readonly words?: readonly string[] | undefined;
  /** Called when the container's program runs. */
  readonly started?: (container: StartedContainer) => void;
}

/** A container that was started. */
export interface StartedContainer {
  readonly id: ContainerId;
  readonly name: string;
  readonly running: Running;
}

/** How a run ended. */
export interface RunResult {
  readonly id: ContainerId;
  /** As a shell has it: the program's own, or 128 and the signal. */
  readonly exitCode: number;
}

/** A container that is planned, with nothing made yet. */
interface Plan {
  readonly directory: ContainerDirectory;
  readonly root: RootSource;
  readonly map: IdMap;
  readonly user: ResolvedUser;
}

/** A container that runs, and what goes with it. */
interface Started {
  readonly plan: Plan;
  readonly subject: EventSubject;
  readonly running: Running;
  readonly signals: HeldSignals | undefined;
  readonly startedMs: number;
  /** Volumes that go with the container. */
  readonly volumes: readonly string[];
  /** Keeps the plan for the next time; undefined where it cannot be kept. */
  readonly remember: (() => void) | undefined;
}

async function planRun({ engine, request, options, fetchImage }: RunInput): Promise<Plan> {
  checkNetwork(request);
  const id = makeContainerId();
  const directory = containerDirectory(engine.dataRoot, engine.runRoot, id);
  return { directory, ...await openRoot({ engine, request, options, directory, fetchImage, chooseUser }) };
}

function prepare(
  input: RunInput,
  plan: Plan,
  mounts: readonly OpenedMount[],
  stdio: StdioPlan,
  guardTerminal: boolean,
  userNamespace?: string,
): Prepared {
  const { engine, request, options } = input;
  const terminal = options.tty
    ? readTerminalSize(0 as Fd) ?? readTerminalSize(1 as Fd) ?? { rows: 24, columns: 80 }
    : undefined;
  return prepareContainer({ engine, request, options, ...plan, mounts, stdio, guardTerminal, terminal, userNamespace });
}

/** What a run would do: the tape, with nothing made. The image and its layers must be there. */
export async function explainRun(input: RunInput): Promise<Prepared> {
  const plan = await planRun(input);
  const stdio: StdioPlan = input.options.tty ? { kind: "terminal" } : { kind: "inherit", relays: [] };
  const mounts = needsOpening(input.request, plan.root.config)
    ? await (await import("./open_mounts.ts")).lookAtMounts({ ...input, ...plan, fetchImage: undefined })
    : plainMounts(input.request);
  return prepare(input, plan, mounts, stdio, false);
}

/**
 * Runs a container to its end.
 * @throws {DugoutError | OsError} When it could not be started; nothing of it is left then.
 */
export async function runContainer(input: RunInput): Promise<RunResult> {
  const { engine, options } = input;
  const { plan: { directory }, subject, running, signals, startedMs, volumes, remember } = await startRun(input);
  const follow: ForegroundOptions = {
    interactive: options.interactive && options.tty,
    signals,
  };
  const end = followRun(running, directory, follow, () => engine);
  // signals are passed on already, and the container runs beside us
  remember?.();
  const status = await end;
  const exitCode = status === undefined ? undefined : exitCodeOf(status);
  const die = dieEvent(subject, { exitCode, startedMs }, Date.now());
  if (options.rm) {
    const wasThere = await discardContainer(engine, directory);
    await forgetContainer(engine, subject, volumes);
    if (wasThere) noteEvents(engine, [die, containerEvent(subject, "destroy")]);
  } else if (noteEnd(directory, { exitCode, startedMs, finishedMs: Date.now() })) noteEvents(engine, [die]);
  if (status === undefined) throw lostMonitorError("while it ran");
  return { id: directory.id, exitCode: exitCodeOf(status) };
}

/** Notes how a container ended, unless somebody has done so or removed it meanwhile. */
function noteEnd({ path }: ContainerDirectory, end: ContainerEnd): boolean {
  try {
    return writeEnd(path, end);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return false;
  }
}

const NO_NETWORK_YET =
  "this version has no network of its own yet: the container shares this machine's (say --network host or none to choose)";

/** What the plan is remembered under; undefined where it is not to be, or has just changed. */
async function makeKey({ engine, words, transformTape }: RunInput): Promise<PlanKey | undefined> {
  if (words === undefined || transformTape !== undefined) return undefined;
  const { makePlanKey, ownProgram } = await import("./plan_key.ts");
  const program = ownProgram();
  const key = program === undefined ? undefined : makePlanKey({ ...engine, words }, program);
  return key?.isSettled ? key : undefined;
}

/** Plans a container, makes what it needs, and starts it. */
async function startRun(input: RunInput): Promise<Started> {
  const { engine, request, options } = input;
  const wantedName = options.name === undefined ? undefined : checkContainerName(options.name);
  // before anything is read that it is about
  const key = await makeKey(input);
  // ids are mapped by programs of the system while we plan
  const early = earlyMap(engine, request);
  using held = early === undefined ? undefined : holdUserNamespace(early);
  const plan = await planRun(input);
  held?.mapIds();
  const { directory, user } = plan;
  const notices = request.network.kind === "default" ? [NO_NETWORK_YET] : [];
  notices.forEach(engine.warn);
  if (isNoexec(engine.dataRoot)) {
    throw new DugoutError(
      "STORE_NOEXEC",
      `Cannot run from ${
        quote(engine.dataRoot)
      }: its file system is mounted noexec, so that no program of an image can be executed`,
      {
        hint: "name a directory on another file system with --root",
      },
    );
  }

  // the name first: racing processes are told apart before anything else is made
  const name = takeName(engine.dataRoot, directory.id, wantedName);
  let running: Running;
  let volumes: readonly string[];
  let stdioFds: StdioFds | undefined;
  let mounts: readonly OpenedMount[];
  let pidfile: Pidfile | undefined;
  let signals: HeldSignals | undefined;
  try {
    if (options.cidfile !== undefined) writeNewFile(options.cidfile, directory.id, "--cidfile");
    makeContainerDirectory(directory, rootMode(plan.root));
    // what takes long is done by a container on record, so that nobody takes it for left behind
    if (plan.root.copyOf !== undefined || needsOpening(request, plan.root.config)) recordRun(input, plan, name, []);
    if (plan.root.rootfs.kind === "tree") makeTreeDirectories(plan.root.rootfs.parts);
    if (plan.root.copyOf !== undefined) await copyLayers(plan.root.copyOf, plan.root.rootfs);
    stdioFds = options.tty ? undefined : openStdio(input.streams, user.uid);
    const stdio: StdioPlan = stdioFds === undefined
      ? { kind: "terminal" }
      : { kind: "inherit", relays: stdioFds.relays };
    ({ anonymous: volumes, mounts } = await openAndRecord(input, plan, name));
    const prepared = prepare(input, plan, mounts, stdio, stdioFds?.hasTerminal ?? false, held?.path);
    for (const { path, text } of prepared.files) writeContainerFile(path, text);
    pidfile = options.pidfile === undefined ? undefined : openPidfile(options.pidfile);
    const tape = input.transformTape?.(prepared.tape) ?? prepared.tape;
    held?.ready();
    signals = options.sigProxy ? holdSignals() : undefined;
    running = start({ ...prepared, tape }, directory, stdioFds);
  } catch (error) {
    signals?.release();
    stdioFds?.close();
    pidfile?.remove();
    if (options.cidfile !== undefined) removeOwnFile(options.cidfile, directory.id);
    try {
      const own = ownVolumes(readRecord(engine.dataRoot, directory.id));
      await discardContainer(engine, directory);
      await forgetContainer(engine, { id: directory.id, name }, own);
    } catch (second) {
      engine.warn(`what was made for the container could not be removed: ${(second as Error).message}`);
    }
    throw error;
  }
  const startedMs = Date.now();
  writeState(engine, {
    id: directory.id,
    name,
    pid: running.pid,
    monitor: running.monitor,
    startTime: readStartTime(running.pid) ?? "",
    bootId: readBootId(),
    map: mapText(plan.map.uid),
    startedMs,
  });
  const labels = labelsOf(plan.root.config, request);
  const subject: EventSubject = { id: directory.id, name, image: request.image, labels };
  noteEvents(engine, foregroundEvents(subject, startedMs));
  pidfile?.write(running.pid);
  input.started?.({ id: directory.id, name, running });

  const remember = key === undefined || stdioFds === undefined || !isRememberable(request, options, plan.root)
    ? undefined
    : keepPlan(input, plan, key, { name, notices, mounts, stdio: stdioFds });
  return { plan, subject, running, signals, startedMs, volumes, remember };
}

/** Plans once more, so that the tape makes its user namespace itself, and keeps that. */
function keepPlan(
  input: RunInput,
  plan: Plan,
  key: PlanKey,
  { name, notices, mounts, stdio }: {
    readonly name: string;
    readonly notices: readonly string[];
    readonly mounts: readonly OpenedMount[];
    readonly stdio: StdioFds;
  },
): () => void {
  const { relays, hasTerminal } = stdio;
  const { request, options, streams: { stdin, stdout, stderr } } = input;
  const { directory: { id }, root, map } = plan;
  return () =>
    rememberPlan(input.engine.runRoot, key, {
      id,
      request,
      options,
      rootMode: rootMode(root),
      streams: [stdin, stdout, stderr].map((fd) => fd !== undefined),
      relays,
      hasTerminal,
      record: makeRecord({ id, name, request, options, root, map, mounts: recordMounts(request.mounts) }),
      notices,
      prepared: prepare(input, plan, mounts, { kind: "inherit", relays }, hasTerminal),
    });
}

/** Makes mounts ready and writes the record. From the record on the container is known to others. */
async function openAndRecord(input: RunInput, plan: Plan, name: string): Promise<OpenedMounts> {
  const { request } = input;
  if (!needsOpening(request, plan.root.config)) {
    recordRun(input, plan, name, recordMounts(request.mounts));
    return { mounts: plainMounts(request), anonymous: [] };
  }
  return await (await import("./open_mounts.ts")).openMounts({
    ...input,
    ...plan,
    fetchImage: input.fetchImage,
    record: (mounts, images) => recordRun(input, plan, name, mounts, images),
  });
}

function recordRun(
  { request, options }: RunInput,
  { directory, root, map }: Plan,
  name: string,
  mounts: readonly RecordedMount[],
  mountedImages: RecordInput["mountedImages"] = [],
): void {
  writeRecord(directory, makeRecord({ id: directory.id, name, request, options, root, map, mounts, mountedImages }));
}

function start(prepared: Prepared, directory: ContainerDirectory, stdio: StdioFds | undefined): Running {
  const state = openAt(AT_FDCWD, directory.state, O_RDONLY | O_DIRECTORY);
  // with a terminal the player itself needs none of the caller's streams but for its own messages
  const none = stdio === undefined ? openAt(AT_FDCWD, "/dev/null", O_RDONLY) : undefined;
  return startContainer(prepared.setup, prepared.tape, {
    stdio: stdio?.stdio ?? [none!, none!, 2 as Fd],
    relays: stdio?.relayFds ?? [],
    state,
    release() {
      close(state);
      if (none !== undefined) close(none);
      stdio?.close();
    },
  });
}

/** The mode of the image's root directory. */
function rootMode(root: RootSource): number {
  const top = root.lowers[0];
  return top === undefined ? 0o755 : fs.statSync(top).mode & 0o7777;
}

function writeNewFile(path: string, text: string, option: string): void {
  try {
    fs.writeFileSync(path, text, { flag: "wx" });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "EEXIST"
      ? "it is there already: make sure the other container is not running and delete it"
      : String(code);
    throw new DugoutError("CIDFILE_FAILED", `Cannot write the ${option} ${quote(path)}: ${why}`, { cause: error });
  }
}

/** A file for the pid, opened before there is one: a container whose pid cannot be written is not started. */
interface Pidfile {
  write(pid: number): void;
  remove(): void;
}

function openPidfile(path: string): Pidfile {
  let fd: number;
  try {
    fd = fs.openSync(path, "w", 0o644);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code;
    throw new DugoutError("PIDFILE_FAILED", `Cannot write the --pidfile ${quote(path)}: ${why}`, { cause: error });
  }
  return {
    write(pid) {
      fs.writeSync(fd, `${pid}\n`);
      fs.closeSync(fd);
    },
    remove() {
      fs.closeSync(fd);
      fs.rmSync(path, { force: true });
    },
  };
}

function removeOwnFile(path: string, id: string): void {
  try {
    if (fs.readFileSync(path, "latin1") === id) fs.unlinkSync(path);
  } catch {
    // not there, or not ours
  }
}
