/**
 * Making a container of a bundle, up to its gate or its running program (runtime-spec, runtime.md, "Lifecycle" 1 to 5).
 *
 * @module
 */
import { closeSync, constants, openSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type Fd, tryCall } from "#linux/call.ts";
import { findAccount } from "#linux/account.ts";
import { OsError } from "#linux/errno.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_PATH, openAt } from "#linux/file.ts";
import { makeFifo } from "#linux/fifo.ts";
import { readBootId, readInnerPid, readStartTime } from "#linux/proc.ts";
import { SIGNALS } from "#linux/signals.ts";
import { connectStream } from "#linux/socket.ts";
import type { RuntimeSpec } from "#oci/runtime_spec.ts";
import type { StoredState } from "#oci/runtime_state.ts";
import { planBundle } from "#runtime/bundle/container.ts";
import { type FailedStep, type SetUpBundle, setUpBundle, stepError } from "#runtime/bundle/launch.ts";
import { isExecStep } from "#runtime/bundle/process_steps.ts";
import { type BundleStart, planFds } from "#runtime/bundle/setup.ts";
import { namespaceOf } from "#runtime/namespace_steps.ts";
import { checkSpec, settleMounts } from "./check_spec.ts";
import { gatePath, keepConfig, makeContainerDirectory, noteMaker, writeState } from "./container_state.ts";
import { bundleError } from "./error.ts";
import { enterGroup, type GroupOptions, leaveGroup, planGroup } from "./groups.ts";
import { hookState, runHooks } from "./hooks.ts";
import { planSetup } from "./plan.ts";
import type { Bundle } from "./read_bundle.ts";
import { isMachineRoot } from "./state_root.ts";

/** How a container is made. */
export interface CreateRequest {
  readonly id: string;
  /** The directory of states, which is there. */
  readonly root: string;
  readonly bundle: Bundle;
  readonly start: BundleStart;
  /** A socket that is sent the terminal: by path, or connected. */
  readonly console: { readonly path: string } | { readonly socket: Fd } | undefined;
  readonly pidFile: string | undefined;
  /** Descriptors of the caller that keep their numbers. */
  readonly preserved: readonly Fd[];
  readonly pivots: boolean;
  readonly newKeyring: boolean;
  readonly groups: GroupOptions;
}

/** A container that was made. */
export interface Created {
  readonly directory: string;
  readonly spec: RuntimeSpec;
  readonly stored: StoredState;
  readonly running: SetUpBundle;
}

/**
 * Makes a container. When it fails nothing is left of it.
 * @throws {DugoutError} CONTAINER_EXISTS, BUNDLE_INVALID, HOOK_FAILED, PROGRAM_FAILED …
 * @throws {OsError} Of the step that failed.
 */
export function createContainer(request: CreateRequest): Created {
  const { bundle, root, id } = request;
  const spec = settleMounts(bundle.spec, bundle.path, bundle.rootPath);
  const machineRoot = isMachineRoot();
  checkSpec(spec, { isRoot: process.geteuid!() === 0, isMachineRoot: machineRoot });
  const groupRequest = planGroup(spec, request.groups);
  const fds = planFds(request.preserved);
  const setup = planSetup({
    spec,
    rootPath: bundle.rootPath,
    start: request.start,
    fds,
    pivots: request.pivots,
    newKeyring: request.newKeyring,
    entersGroup: groupRequest !== undefined,
    isMachineRoot: machineRoot,
  });
  const tape = planBundle(setup);
  const directory = makeContainerDirectory(root, id);
  using opened = openFds(request, directory);
  let group: string | undefined;
  try {
    noteMaker(directory);
    keepConfig(directory, bundle.bytes);
    const running = setUpBundle(
      tape,
      setup.userNamespace,
      { plan: fds, console: opened.console, gate: opened.gate, preserved: request.preserved },
      {
        enterGroup: groupRequest === undefined
          ? undefined
          : (pid) => void (group = enterGroup(groupRequest, directory, id, pid)),
        describe: (failed) => describeFailure(failed, spec),
      },
    );
    let runs: "waits" | "went on" | "runs" = "waits";
    try {
      const stored = storeState(request, spec, directory, running.pid, group);
      runHooks("prestart", spec.hooks?.prestart ?? [], hookState(stored, "creating", running.pid));
      runHooks("createRuntime", spec.hooks?.createRuntime ?? [], hookState(stored, "creating", running.pid));
      const inner = namespaceOf(spec, "pid") === "host" ? running.pid : readInnerPid(running.pid) ?? running.pid;
      runs = "went on";
      running.goOn({
        creating: hookState(stored, "creating", inner),
        created: hookState(stored, "created", inner),
      });
      runs = "runs";
      const made = { ...stored, creating: false };
      writeState(directory, made);
      if (request.pidFile !== undefined) writePidFile(request.pidFile, running.pid);
      return { directory, spec, stored: made, running };
    } catch (error) {
      if (runs === "waits") running.giveUp();
      // nobody has heard of it
      if (runs === "runs") tryCall("kill", running.pid, SIGNALS.KILL);
      throw error;
    }
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    leaveGroup(group);
    throw error;
  }
}

/** The socket for the terminal, and the gate. */
interface OpenedFds {
  readonly console: Fd | undefined;
  readonly gate: Fd | undefined;
  [Symbol.dispose](): void;
}

function openFds({ console, start }: CreateRequest, directory: string): OpenedFds {
  const gate = start.kind === "create" ? makeFifo(gatePath(directory)) : undefined;
  const socket = console === undefined
    ? undefined
    : "socket" in console
    ? console.socket
    : connectConsole(console.path);
  return {
    console: socket,
    gate,
    [Symbol.dispose]() {
      if (gate !== undefined) close(gate);
      if (socket !== undefined) close(socket);
    },
  };
}

/** Connects to a socket whose path may be longer than an address. */
function connectConsole(path: string): Fd {
  if (Buffer.byteLength(path) < 100) return connectStream(path);
  const directory = openAt(AT_FDCWD, dirname(path), O_PATH | O_DIRECTORY);
  try {
    return connectStream(`/proc/self/fd/${directory}/${basename(path)}`);
  } finally {
    close(directory);
  }
}

/** Written before hooks run: from then on the container can be found, whatever becomes of this process. */
function storeState(
  { id, bundle }: CreateRequest,
  spec: RuntimeSpec,
  directory: string,
  pid: number,
  group: string | undefined,
): StoredState {
  const uid = process.geteuid!();
  const stored: StoredState = {
    id,
    pid,
    bootId: readBootId(),
    startTime: readStartTime(pid) ?? "0",
    bundle: bundle.path,
    rootfs: bundle.rootPath,
    created: new Date().toISOString(),
    owner: findAccount(uid)?.name ?? String(uid),
    creating: true,
    ...(group === undefined ? {} : { group }),
    annotations: spec.annotations ?? new Map(),
  };
  writeState(directory, stored);
  return stored;
}

/** Written anew; a link in its place is not followed. */
export function writePidFile(path: string, pid: number): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  rmSync(path, { force: true });
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666);
  try {
    writeFileSync(fd, String(pid));
  } finally {
    closeSync(fd);
  }
}

/** The failure of the program in the words that callers look for: podman tells exit codes 126 and 127 by them. */
export function describeFailure(failed: FailedStep, { process }: Pick<RuntimeSpec, "process">): Error {
  const error = stepError(failed);
  if (!isExecStep(failed.tape.steps[failed.failure.index]?.id) || !(error instanceof OsError)) return error;
  return describeProgramError(error, process?.args?.[0] ?? "");
}

/** The same for a program that could not be executed. */
export function describeProgramError(error: OsError, name: string): Error {
  const isMissing = error.code === "ENOENT" || error.code === "ENOTDIR";
  const why = isMissing
    ? name.includes("/") ? `stat ${name}: no such file or directory` : "executable file not found in $PATH"
    : error.code === "EACCES"
    ? "permission denied"
    : error.code === "ENOEXEC"
    ? "exec format error"
    : error.code;
  return bundleError(
    "PROGRAM_FAILED",
    `unable to start container process: exec: ${JSON.stringify(name)}: ${why}`,
    undefined,
    error,
  );
}
