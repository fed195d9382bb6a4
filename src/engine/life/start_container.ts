/**
 * Starting a container whose output is kept, and leaving it to its monitor.
 *
 * @module
 */
import {
  AT_FDCWD,
  close,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_RDONLY,
  O_WRONLY,
  openAt,
  tryMakeMemfd,
  writeAll,
} from "#linux/file.ts";
import { HOST_ARCH } from "#linux/arch.ts";
import { expectResult, type Fd } from "#linux/call.ts";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import type { KeptRequest } from "#docker/request_codec.ts";
import { cleanUpSteps } from "#runtime/container.ts";
import type { Running } from "#runtime/launch_container.ts";
import { workerEnvironment } from "#runtime/launch_worker.ts";
import { LOG_FILE } from "#runtime/log_frame.ts";
import { CONTAINER_FD, LAST_WORK_FD, LOG_FD, MONITOR_TAPE_FD, PLAYER_FD } from "#runtime/monitor_fds.ts";
import { planMonitor } from "#runtime/monitor_tape.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { startContainer } from "#runtime/start.ts";
import { encodeTape } from "#tape/encode.ts";
import { makeTapeFile } from "#tape/play_encoded.ts";
import { openPlayer } from "#tape/player_file.ts";
import type { Tape } from "#tape/step.ts";
import { forgetEnd, writeEnd } from "../record/container_end.ts";
import { makeStateDirectory, updateRecord, writeContainerFile } from "../record/container_directory.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, type EventSubject, noteEvent } from "../events/events.ts";
import { openKeptStdio } from "../streams/kept_stdio.ts";
import { encodeLastWork, LAST_WORK_ARGUMENT } from "./last_work.ts";
import type { Networking } from "../network/networking.ts";
import { wantsNetworks } from "../network/wants_networks.ts";
import { healthConfig } from "../health/health_config.ts";
import { callKeeper } from "../keeper/keeper_lock.ts";
import { logLimits } from "../log/limits.ts";
import { type LogFile, openLogFile } from "../log/log_files.ts";
import { repairLog } from "../log/repair.ts";
import type { Plan } from "./make_container.ts";
import type { Pidfile } from "../record/pidfile.ts";
import { prepareContainer, type Prepared } from "../prepare/prepare.ts";
import { writeState } from "../record/state.ts";
import { forgetStop } from "../record/stop_marks.ts";
import type { OpenedMount } from "../volumes/volume_mounts.ts";
import { whereabouts } from "../record/whereabouts.ts";
import { stateOf } from "../record/container_state.ts";

/** How a container is started. */
export interface StartInput extends KeptRequest {
  readonly engine: Engine;
  readonly plan: Plan;
  readonly mounts: readonly OpenedMount[];
  readonly subject: EventSubject;
  /** Whether it was never started: a start that fails leaves it so. */
  readonly isNew: boolean;
  /** How often its restart policy has started it; 0 where somebody starts it. */
  readonly restartCount: number;
  /** The caller's stdin, where it is to be the container's own. */
  readonly stdin: Fd | undefined;
  /** The size of its terminal. */
  readonly terminal: { readonly rows: number; readonly columns: number } | undefined;
  /** Whether it lives on when its caller is gone. */
  readonly outlivesCaller: boolean;
  /** A user namespace that is held for it: its file, and when its ids are mapped. */
  readonly held?: { readonly path: string; ready(): void } | undefined;
  readonly pidfile?: Pidfile | undefined;
  readonly transformTape?: ((tape: Tape) => Tape) | undefined;
}

/** A container that was started. */
export interface StartedKept {
  readonly running: Running;
  /** Its log, and where what it writes from now on begins; whoever does not read it closes it. */
  readonly log: LogFile;
  readonly fromByte: number;
}

/**
 * Starts a container; returns when its program runs. The caller holds its lock.
 * @throws {DugoutError | OsError} When it could not be started. It stays on record then, with the error.
 */
export async function startKept(input: StartInput): Promise<StartedKept> {
  const { engine, plan, restartCount } = input;
  const { directory } = plan;
  const startedMs = Date.now();
  try {
    updateRecord(directory, { isNew: false, startedMs, restartCount, ...whereabouts() });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") throw goneError(input.subject.name);
    throw error;
  }
  makeStateDirectory(directory);
  forgetEnd(directory);
  forgetStop(engine, directory.id);
  let started: StartedKept;
  try {
    const networking = wantsNetworks(input.request)
      ? await (await import("../network/networking.ts")).openNetworking(engine, input.request, {
        ...plan,
        id: directory.id,
        name: input.subject.name,
      })
      : undefined;
    started = launch(input, startedMs, networking);
  } catch (error) {
    if (wantsNetworks(input.request)) {
      await (await import("../network/networking.ts")).closeNetworking(engine, directory.id);
    }
    forgetEnd(directory);
    noteFailure(input, error);
    throw error;
  }
  const { running } = started;
  writeState(engine, stateOf({ id: directory.id, name: input.subject.name, running, map: plan.map, startedMs }));
  if (wantsNetworks(input.request)) {
    await (await import("../network/networking.ts")).watchNetworking(engine, directory.id, running.pidfd);
  }
  noteEvent(engine, containerEvent(input.subject, "start", {}, startedMs));
  // the keeper itself needs no call
  if (restartCount === 0 && needsKeeper(input)) callKeeper(engine);
  input.pidfile?.write(running.pid);
  return started;
}

/** Whether somebody has to look after it. */
function needsKeeper({ request, plan }: StartInput): boolean {
  return request.restart.kind !== "no" || healthConfig(request.health, plan.root.config) !== undefined;
}

function goneError(name: string): DugoutError {
  return new DugoutError("CONTAINER_GONE", `Cannot start the container "${name}": it was removed meanwhile`);
}

/** A start that failed is told of by `ps` and `inspect`, with Docker's codes; what was never started still was not. */
function noteFailure({ plan: { directory }, isNew }: StartInput, error: unknown): void {
  const exitCode = error instanceof DugoutError && [126, 127].includes(error.exitCode) ? error.exitCode : 128;
  const finishedMs = isNew ? undefined : Date.now();
  try {
    if (isNew) updateRecord(directory, { isNew: true, startedMs: undefined });
    writeEnd(directory.path, { exitCode, startedMs: undefined, finishedMs, error: (error as Error).message });
  } catch {
    // a full disk: the error is told all the same
  }
}

/** Opens what the monitor keeps, and has the tape played. */
function launch(input: StartInput, startedMs: number, networking: Networking | undefined): StartedKept {
  const { engine, request, options, plan } = input;
  const { directory, user } = plan;
  using stack = new DisposableStack();
  const own = (fd: Fd): Fd => stack.adopt(fd, close);
  const stdio = openKeptStdio({
    tty: options.tty,
    interactive: options.interactive,
    stdin: input.stdin,
    user: { map: plan.map, uid: user.uid },
  });
  stack.defer(() => stdio.close());
  const prepared = prepareContainer({
    engine,
    request,
    ...plan,
    mounts: input.mounts,
    stdio: stdio.plan,
    keepsOutput: true,
    outlivesCaller: input.outlivesCaller,
    guardTerminal: stdio.hasTerminal,
    terminal: options.tty ? input.terminal ?? { rows: 24, columns: 80 } : undefined,
    parentFile: input.held?.path,
    networking,
  });
  for (const { path, text } of prepared.files) writeContainerFile(path, text);

  const logPath = join(directory.path, LOG_FILE);
  const log = own(openAt(AT_FDCWD, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o600));
  const fromByte = repairLog(logPath);
  const state = own(openAt(AT_FDCWD, directory.state, O_RDONLY | O_DIRECTORY));
  const work = own(expectResult(tryMakeMemfd("dugout-work", false), "memfd_create", "dugout-work") as Fd);
  const player = stack.use(openPlayer());
  const others = [
    ...stdio.others,
    { child: CONTAINER_FD, ours: own(openAt(AT_FDCWD, directory.path, O_RDONLY | O_DIRECTORY)) },
    { child: LOG_FD, ours: log },
    { child: LAST_WORK_FD, ours: work },
    { child: PLAYER_FD, ours: player.fd },
    { child: MONITOR_TAPE_FD, ours: own(makeTapeFile(encodeTape(monitorTape(input, prepared), HOST_ARCH))) },
  ];
  const tape = input.transformTape?.(prepared.tape) ?? prepared.tape;
  input.held?.ready();
  const running = startContainer(prepared.setup, tape, {
    stdio: stdio.stdio,
    others,
    state,
    joinGroup: plan.limits?.joinGroup({ id: directory.id, name: input.subject.name }),
    // the container's ends of the pipes are the container's alone
    release: () => stdio.close(),
  });
  // only now: a start that failed leaves a container that is looked at
  if (options.rm) writeAll(work, new TextEncoder().encode(encodeLastWork({ ...engine, id: directory.id, startedMs })));
  const opened = openLogFile(logPath);
  if (opened === undefined) throw goneError(input.subject.name);
  return { running, log: opened, fromByte };
}

/** What its monitor plays. */
export function monitorTape(
  { request }: Pick<StartInput, "request">,
  { setup: { stdio, rootfs, group } }: Prepared,
): Tape {
  return planMonitor({
    terminal: stdio.kind === "terminal",
    copiesStdin: stdio.kind === "inherit" && stdio.relays.length > 0,
    log: logLimits(request.log),
    cleanUp: cleanUpSteps(rootfs),
    group,
    worker: { args: [...ownCommand(), LAST_WORK_ARGUMENT], env: workerEnvironment() },
  });
}
