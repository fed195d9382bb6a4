/**
 * Running a program in a container that runs.
 *
 *     name → state → what the container left for this (spec_file.ts) → tape → player → the time it runs
 *
 * It is a way of its own, on which nothing is loaded that plans containers or lists them, unless the container cannot be found
 * otherwise.
 *
 * @module
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { findGroup, isFrozen } from "#cgroup/find_group.ts";
import type { Fd } from "#linux/call.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, O_RDWR, openAt } from "#linux/file.ts";
import { randomHex } from "#linux/random.ts";
import type { TerminalSize } from "#linux/terminal.ts";
import { DugoutError } from "#oci/error.ts";
import type { ExecOptions, ExecRequest } from "#docker/exec_request.ts";
import { planExec } from "#runtime/exec_container.ts";
import { type ExecStdio, TARGET_FD } from "#runtime/exec_setup.ts";
import { probeHost } from "#runtime/host.ts";
import { exitCodeOf, type Running, type StartFds } from "#runtime/launch_container.ts";
import { drainTerminal, type Entered, startExec } from "#runtime/start_exec.ts";
import type { Tape } from "#tape/step.ts";
import { containerEvent, type EventPlace, type EventSubject, noteEvents } from "../events/events.ts";
import { makeExecProcess } from "./exec_process.ts";
import {
  differingNamespaces,
  type ExecTarget,
  findQuickly,
  notRunning,
  openTarget,
  readAccountFile,
} from "../record/exec_target.ts";
import { followForeground, type HeldSignals } from "../streams/foreground.ts";
import { showTerminal, typeInto } from "../streams/relay_terminal.ts";
import { readSpecFile, type SpecFile } from "../prepare/spec_file.ts";
import { readStartTime } from "#linux/proc.ts";
import type { ContainerState } from "../record/container_state.ts";
import { openStdio, type StdioFds, type StreamSources } from "../streams/stdio.ts";

/** What is asked for, and by whom. */
export interface ExecInput {
  readonly places: EventPlace;
  /** A container by name or id. */
  readonly container: string;
  readonly request: ExecRequest;
  readonly options: ExecOptions;
  /** The program's streams, without a terminal. */
  readonly streams: StreamSources;
  /** Of the caller's terminal. */
  readonly size: TerminalSize;
  /** Signals of the caller's that are the program's. */
  readonly signals: HeldSignals | undefined;
  /** Finds a running container by looking at all records. @throws {DugoutError} With docker's words. */
  readonly findSlowly: (text: string) => ContainerState | Promise<ContainerState>;
  /** Called when the program runs. */
  readonly started?: (running: Running) => void;
  /** Gets the planned tape and gives the one to play: how a step is made to fail. */
  readonly transformTape?: (tape: Tape) => Tape;
}

/** Why it was over. */
export type ExecEnd =
  | { readonly kind: "ended"; readonly exitCode: number }
  /** Nobody reads what its terminal shows: it was hung up. */
  | { readonly kind: "unread" }
  /** The program runs on: it was to, or the detach keys were typed. */
  | { readonly kind: "detached"; readonly byKeys: boolean };

/**
 * Runs a program in a container and stays with it to its end, unless it is to be left alone.
 * @throws {DugoutError} CONTAINER_UNKNOWN, CONTAINER_NOT_RUNNING; with exit code 126 or 127 when it could not be executed.
 * @throws {OsError} When the container could not be entered.
 */
export async function execInContainer(input: ExecInput): Promise<ExecEnd> {
  const { places, options, signals } = input;
  const id = randomHex(32);
  let state: ContainerState;
  let entered: Entered;
  try {
    state = findQuickly(places, input.container) ?? await input.findSlowly(input.container);
    const group = findGroup(state.id, state.pid);
    if (isFrozen(group?.path)) throw pausedError(state.id);
    const join = group === undefined ? undefined : (await import("#cgroup/join_group.ts")).joinGroup;
    const joinGroup = group === undefined || join === undefined ? undefined : (pid: number) => join(group, pid);
    entered = enter(input, state, requireSpec(places, state), id, joinGroup);
  } catch (error) {
    signals?.release();
    throw error;
  }
  input.started?.(entered.running);
  const note = noteStart(places, state.id, id, input.request);
  if (options.detach) {
    signals?.release();
    entered.running.leave();
    if (entered.terminal !== undefined) {
      drainTerminal(entered.terminal);
      close(entered.terminal);
    }
    if (entered.slave !== undefined) close(entered.slave);
    return { kind: "detached", byKeys: false };
  }
  const end = await stay(input, entered);
  if (end.kind === "ended") note("exec_die", { exitCode: String(end.exitCode) });
  else if (end.kind === "detached") note("exec_detach", {});
  return end;
}

/** Docker's words. */
function pausedError(id: string): DugoutError {
  return new DugoutError("CONTAINER_PAUSED", `Container ${id} is paused, unpause the container before exec`, {
    exitCode: 1,
  });
}

function requireSpec({ dataRoot }: EventPlace, { id, pid, startTime }: ContainerState): SpecFile {
  const spec = readSpecFile(dataRoot, id);
  if (spec !== undefined) return spec;
  // with --rm it goes as soon as the container has ended
  if (readStartTime(pid) !== startTime) throw notRunning(id);
  throw new DugoutError("SPEC_MISSING", `Cannot enter the container ${id.slice(0, 12)}: its spec.json is not there`, {
    hint: "stop the container and start it again: that writes the file anew",
  });
}

/** Starts the program. @throws What went wrong; CONTAINER_NOT_RUNNING where it was that the container had ended. */
function enter(
  input: ExecInput,
  state: ContainerState,
  spec: SpecFile,
  id: string,
  joinGroup: ((pid: number) => string) | undefined,
): Entered {
  const { request, options, size } = input;
  using target = openTarget(state, spec.init);
  try {
    const host = probeHost();
    const { process, keepGroups } = makeExecProcess({
      spec,
      request,
      readAccounts: (path) => readAccountFile(target, path),
      hasTerminal: options.tty,
      lastCapability: host.lastCapability,
    });
    const namespaces = differingNamespaces(target.pid);
    const streams = options.tty ? undefined : openStdio(input.streams, { map: spec.map, uid: process.user.uid });
    const stdio: ExecStdio = streams === undefined
      ? { kind: "terminal", ...size }
      : { kind: "inherit", relays: streams.relays };
    const { map, filter, filterHidesKeys } = spec;
    let fds: StartFds | undefined;
    try {
      const keepsRecord = options.detach;
      const planned = planExec({
        process,
        map,
        filter,
        filterHidesKeys,
        keepGroups,
        host,
        namespaces,
        stdio,
        affinity: spec.affinity,
        inGroup: joinGroup !== undefined,
        keepsRecord,
      });
      fds = {
        ...openFds(target, streams, keepsRecord ? makeRecordDirectory(input, state.id, id) : undefined),
        joinGroup,
      };
      const tape = input.transformTape?.(planned) ?? planned;
      const entered = startExec(tape, options.tty, fds);
      if (keepsRecord) writeExecRecord(input, state.id, id, entered);
      return entered;
    } catch (error) {
      if (fds === undefined) streams?.close();
      if (options.detach) fs.rmSync(execPath(input.places.runRoot, state.id, id), { recursive: true, force: true });
      throw error;
    }
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (!target.isAlive() || code === "ESRCH" || code === "ENOMEM") throw notRunning(state.id);
    throw error;
  }
}

/** The descriptors of the player; `release` closes what was opened for it, once. */
function openFds(target: ExecTarget, streams: StdioFds | undefined, record: Fd | undefined): StartFds {
  const opened: Fd[] = record === undefined ? [] : [record];
  const none = (): Fd => {
    const fd = openAt(AT_FDCWD, "/dev/null", O_RDWR);
    opened.push(fd);
    return fd;
  };
  return {
    stdio: streams?.stdio ?? [none(), none(), none()],
    others: [...streams?.relayFds ?? [], { child: TARGET_FD, ours: target.pidfd }],
    state: record,
    release() {
      opened.splice(0).forEach(close);
      streams?.close();
    },
  };
}

/** Stays with a program to its end, or until it is left. */
async function stay({ options, signals }: ExecInput, { running, terminal, slave }: Entered): Promise<ExecEnd> {
  const end = followForeground(running, signals);
  if (terminal === undefined) return { kind: "ended", exitCode: codeOf(await end) };
  const { interactive, detachKeys } = options;
  const typing = typeInto(terminal, { interactive, detachKeys });
  const shown = showTerminal(terminal);
  const first = await Promise.race([
    end,
    typing.detached.then(() => "detached" as const),
    shown.then<"unread" | number | undefined>((how) => how === "unread" ? how : end),
  ]).finally(() => typing.stop());
  if (slave !== undefined) close(slave);
  if (first === "unread") {
    signals?.release();
    running.leave();
    // the kernel sends SIGHUP to what is in it
    close(terminal);
    return { kind: "unread" };
  }
  if (first === "detached") {
    signals?.release();
    // what is shown here is read until this process ends, so that it stays open
    drainTerminal(terminal);
    return { kind: "detached", byKeys: true };
  }
  await shown;
  close(terminal);
  return { kind: "ended", exitCode: codeOf(first) };
}

function codeOf(status: number | undefined): number {
  if (status !== undefined) return exitCodeOf(status);
  throw new DugoutError("MONITOR_LOST", "Cannot tell how the program ended: the process that waits for it was killed", {
    hint: "did somebody kill the process dugout-monitor, or did the machine run out of memory?",
  });
}

/** Where it is told of a program that runs detached: what it is, and how it ended. */
function execPath(runRoot: string, container: string, id: string): string {
  return join(runRoot, "containers", container, "exec", id);
}

function makeRecordDirectory({ places }: ExecInput, container: string, id: string): Fd {
  const path = execPath(places.runRoot, container, id);
  fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  return openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

function writeExecRecord({ places, request }: ExecInput, container: string, id: string, { running }: Entered): void {
  const record = {
    id,
    pid: running.pid,
    startTime: readStartTime(running.pid) ?? "",
    command: request.command,
    startedMs: Date.now(),
  };
  try {
    fs.writeFileSync(join(execPath(places.runRoot, container, id), "exec.json"), JSON.stringify(record), {
      mode: 0o600,
    });
  } catch {
    // the container, and the directory with it, may be gone already; the program runs, or ran
  }
}

/** Notes events of the program; what is not on record any more has none. @returns What notes another one. */
function noteStart(
  places: EventPlace,
  container: string,
  id: string,
  { command }: ExecRequest,
): (action: string, more: Record<string, string>) => void {
  const subject = readSubject(places.dataRoot, container);
  if (subject === undefined) return () => {};
  const words = command.join(" ");
  const execID = { execID: id };
  noteEvents(places, [
    containerEvent(subject, `exec_create: ${words}`, execID),
    containerEvent(subject, `exec_start: ${words}`, execID),
  ]);
  return (action, more) => noteEvents(places, [containerEvent(subject, action, { ...more, ...execID })]);
}

/** What events tell of a container, from its record and nothing else: the program runs meanwhile. */
function readSubject(dataRoot: string, id: string): EventSubject | undefined {
  try {
    const text = fs.readFileSync(join(dataRoot, "containers", id, "config.json"), "utf8");
    const { name, image, labels } = JSON.parse(text) as {
      name: string;
      image?: string;
      labels: Record<string, string>;
    };
    return { id, name, image, labels: new Map(Object.entries(labels)) };
  } catch {
    return undefined;
  }
}
