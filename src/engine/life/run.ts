/**
 * Running a container in the foreground: image, layers, directory, start, the time that it runs, its end.
 *
 * @module
 */
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { inheritedFd } from "#linux/inherited.ts";
import { DugoutError } from "#oci/error.ts";
import { readTerminalSize } from "#linux/terminal.ts";
import type { RunOptions, RunRequest } from "#docker/run_request.ts";
import { exitCodeOf, lostMonitorError, type Running } from "#runtime/launch_container.ts";
import { startContainer } from "#runtime/start.ts";
import { openParentNamespace } from "#runtime/holder/parent_namespace.ts";
import type { Tape } from "#tape/step.ts";
import { checkContainerName, type ContainerId } from "../record/container_id.ts";
import { type ContainerDirectory, takeName, writeContainerFile } from "../record/container_directory.ts";
import { labelsOf, makeRecord, recordMounts } from "../record/container_record.ts";
import { type ContainerEnd, writeEnd } from "../record/container_end.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, dieEvents, type EventSubject, foregroundEvents, noteEvents } from "../events/events.ts";
import { followRun } from "../streams/follow_run.ts";
import { type HeldSignals, holdSignals } from "../streams/foreground.ts";
import { parentMap, prepareContainer, type Prepared } from "../prepare/prepare.ts";
import { findFooting, type Footing } from "./footing.ts";
import { isRememberable, rememberPlan } from "../again/remember.ts";
import { discardContainer, forgetContainer } from "./remove.ts";
import { writeState } from "../record/state.ts";
import { needsOpening, type OpenedMount, plainMounts } from "../volumes/volume_mounts.ts";
import { readEndRecord } from "../record/wait_status.ts";
import { openPidfile, type Pidfile } from "../record/pidfile.ts";
import type { Networking } from "../network/networking.ts";
import { wantsNetworks } from "../network/wants_networks.ts";
import { healthConfig } from "../health/health_config.ts";
import { keepsOutput } from "../record/keeps_output.ts";
import {
  checkStore,
  makeContainer,
  type Plan,
  planRun,
  rootMode,
  startNotices,
  unmakeContainer,
} from "./make_container.ts";
import { openStdio, type StdioFds, type StreamSources } from "../streams/stdio.ts";
import { stateOf } from "../record/container_state.ts";

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
  /** What was typed behind `run`, where that says all: see {@linkcode MakeInput}. */
  readonly typed?: readonly string[] | undefined;
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

function prepare(
  { engine, request, options }: RunInput,
  plan: Plan,
  mounts: readonly OpenedMount[],
  { relays, hasTerminal }: StdioFds,
  parentFile?: string,
  networking?: Networking,
): Prepared {
  return prepareContainer({
    engine,
    request,
    ...plan,
    mounts,
    stdio: { kind: "inherit", relays },
    keepsOutput: false,
    preservedFds: options.preservedFds,
    guardTerminal: hasTerminal,
    terminal: undefined,
    parentFile,
    networking,
  });
}

/** What a run would do: the tape, with nothing made. The image and its layers must be there. */
export async function explainRun(input: RunInput): Promise<Prepared> {
  const plan = await planRun(input);
  const { request, options } = input;
  const mounts = needsOpening(request, plan.root.config)
    ? await (await import("../prepare/open_mounts.ts")).lookAtMounts({ ...input, ...plan, fetchImage: undefined })
    : plainMounts(request);
  const joining = { ...plan, id: plan.directory.id, name: options.name ?? "" };
  const networking = wantsNetworks(request)
    ? (await import("../network/networking.ts")).lookAtNetworking(input.engine, request, joining)
    : undefined;
  return prepareContainer({
    ...input,
    ...plan,
    mounts,
    networking,
    stdio: options.tty ? { kind: "terminal" } : { kind: "inherit", relays: [] },
    keepsOutput: keepsOutput(request, options),
    outlivesCaller: options.detach,
    guardTerminal: false,
    terminal: options.tty
      ? readTerminalSize(0 as Fd) ?? readTerminalSize(1 as Fd) ?? { rows: 24, columns: 80 }
      : undefined,
  });
}

/**
 * Runs a container to its end, with the caller's streams as its own: its output is not kept.
 * @throws {DugoutError | OsError} When it could not be started; nothing of it is left then.
 */
export async function runContainer(input: RunInput): Promise<RunResult> {
  const { engine, options, request } = input;
  const { plan: { directory, root, limits }, subject, running, signals, startedMs, volumes, remember } = await startRun(
    input,
  );
  const end = followRun(running, directory.state, signals, () => engine);
  // signals are passed on already, and the container runs beside us
  remember?.();
  const isChecked = healthConfig(request.health, root.config) !== undefined;
  const attended = isChecked ? (await import("../keeper/stay_attended.ts")).stayAttended(engine) : undefined;
  const status = await end;
  attended?.stop();
  await leaveNetworks(input, directory.id);
  const exitCode = status === undefined ? undefined : exitCodeOf(status);
  const oomKilled = limits?.group !== undefined && readEndRecord(directory.state)?.oomKilled === true;
  limits?.leaveGroup(directory.id);
  const die = dieEvents(subject, { exitCode, startedMs, oomKilled }, Date.now());
  if (options.rm) {
    const wasThere = await discardContainer(engine, directory);
    await forgetContainer(engine, subject, volumes);
    if (wasThere) noteEvents(engine, [...die, containerEvent(subject, "destroy")]);
  } else if (noteEnd(directory, { exitCode, startedMs, finishedMs: Date.now(), ...(oomKilled ? { oomKilled } : {}) })) {
    noteEvents(engine, die);
  }
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

/** Plans a container, makes what it needs, and starts it. */
async function startRun(input: RunInput): Promise<Started> {
  const { engine, request, options } = input;
  const wantedName = options.name === undefined ? undefined : checkContainerName(options.name);
  // before anything is read that it is about
  const footing = await findFooting(input);
  // ids are mapped by programs of the system while we plan
  const parent = parentMap(engine, request);
  using held = parent === undefined ? undefined : openParentNamespace(engine.runRoot, parent);
  const plan = await planRun(input);
  held?.mapIds();
  const { directory, user } = plan;
  const notices = startNotices(request, plan);
  notices.forEach(engine.warn);
  checkStore(engine);

  // the name first: racing processes are told apart before anything else is made
  const name = takeName(engine.dataRoot, directory.id, wantedName);
  let running: Running;
  let volumes: readonly string[];
  let stdioFds: StdioFds | undefined;
  let mounts: readonly OpenedMount[];
  let pidfile: Pidfile | undefined;
  let signals: HeldSignals | undefined;
  try {
    ({ anonymous: volumes, mounts } = await makeContainer(input, plan, name));
    stdioFds = openStdio(input.streams, { map: plan.map, uid: user.uid });
    const networking = wantsNetworks(request)
      ? await (await import("../network/networking.ts")).openNetworking(engine, request, {
        ...plan,
        id: directory.id,
        name,
      })
      : undefined;
    const prepared = prepare(input, plan, mounts, stdioFds, held?.path, networking);
    for (const { path, text } of prepared.files) writeContainerFile(path, text);
    pidfile = options.pidfile === undefined ? undefined : openPidfile(options.pidfile);
    const tape = input.transformTape?.(prepared.tape) ?? prepared.tape;
    held?.ready();
    signals = options.sigProxy ? holdSignals() : undefined;
    running = start({ ...prepared, tape }, plan, name, stdioFds);
  } catch (error) {
    signals?.release();
    stdioFds?.close();
    pidfile?.remove();
    await leaveNetworks(input, directory.id);
    await unmakeContainer(input, plan, name);
    throw error;
  }
  const startedMs = Date.now();
  writeState(engine, stateOf({ id: directory.id, name, running, map: plan.map, startedMs }));
  if (wantsNetworks(request)) {
    await (await import("../network/networking.ts")).watchNetworking(engine, directory.id, running.pidfd);
  }
  const labels = labelsOf(plan.root.config, request);
  const subject: EventSubject = { id: directory.id, name, image: request.image, labels };
  noteEvents(engine, foregroundEvents(subject, startedMs));
  pidfile?.write(running.pid);
  input.started?.({ id: directory.id, name, running });

  const remember = footing === undefined || !isRememberable(request, options, plan.root)
    ? undefined
    : keepPlan(input, plan, footing, { name, notices, mounts, stdio: stdioFds });
  return { plan, subject, running, signals, startedMs, volumes, remember };
}

async function leaveNetworks({ engine, request }: RunInput, id: string): Promise<void> {
  if (wantsNetworks(request)) await (await import("../network/networking.ts")).closeNetworking(engine, id);
}

/** Plans once more, so that the tape makes its user namespace itself, and keeps that. */
function keepPlan(
  input: RunInput,
  plan: Plan,
  footing: Footing,
  { name, notices, mounts, stdio }: {
    readonly name: string;
    readonly notices: readonly string[];
    readonly mounts: readonly OpenedMount[];
    readonly stdio: StdioFds;
  },
): () => void {
  const { relays, hasTerminal } = stdio;
  const { request, options, streams: { stdin, stdout, stderr } } = input;
  const { directory, root, map } = plan;
  return () =>
    rememberPlan(input.engine, {
      ...footing,
      directory,
      request,
      options,
      rootMode: rootMode(root),
      streams: [stdin, stdout, stderr].map((fd) => fd !== undefined),
      relays,
      hasTerminal,
      record: makeRecord({
        id: directory.id,
        name,
        request,
        options,
        root,
        map,
        mounts: recordMounts(request.mounts),
      }),
      labels: labelsOf(root.config, request),
      notices,
      prepared: prepare(input, plan, mounts, stdio),
    });
}

/** The caller's descriptors that the container keeps, where the player has them meanwhile. @throws {DugoutError} FD_CLOSED. */
function passFds({ preserved }: Prepared["setup"]): { child: number; ours: Fd }[] {
  return (preserved?.preserved ?? []).map((number, index) => {
    const ours = inheritedFd(number);
    if (ours === undefined) {
      throw new DugoutError("FD_CLOSED", `Cannot pass on descriptor ${number}: the caller has none of that number`, {
        hint: "--preserve-fds counts from 3; --preserve-fd names numbers",
      });
    }
    return { child: preserved!.parked + index, ours };
  });
}

function start(prepared: Prepared, { directory, limits }: Plan, name: string, stdio: StdioFds): Running {
  const passed = passFds(prepared.setup);
  const state = openAt(AT_FDCWD, directory.state, O_RDONLY | O_DIRECTORY);
  return startContainer(prepared.setup, prepared.tape, {
    stdio: stdio.stdio,
    others: [...stdio.relayFds, ...passed],
    state,
    joinGroup: limits?.joinGroup({ id: directory.id, name }),
    release() {
      close(state);
      stdio.close();
    },
  });
}
