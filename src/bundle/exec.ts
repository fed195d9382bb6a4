/**
 * Another process in a container of a bundle.
 *
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";
import { capabilityName, capabilityNumber } from "#linux/capabilities.ts";
import type { Fd } from "#linux/call.ts";
import { OsError } from "#linux/errno.ts";
import { parseRuntimeConfig } from "#oci/runtime_config.ts";
import type { NamespaceType, ProcessSpec } from "#oci/runtime_spec.ts";
import { planBundleExec } from "#runtime/bundle/exec.ts";
import { enterBundle, type EnteredBundle } from "#runtime/bundle/launch_exec.ts";
import { planFds } from "#runtime/bundle/setup.ts";
import { SIGNALS } from "#linux/signals.ts";
import { type BundleContainer, readKeptConfig, statusOf } from "./container_state.ts";
import { describeFailure, writePidFile } from "./create.ts";
import { bundleError } from "./error.ts";
import { joinGroup } from "./groups.ts";
import { planFilter } from "./plan.ts";
import { openFirstProcess } from "./signal.ts";

/** What is executed, as changes to the container's own process. */
export interface ExecOverrides {
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number | undefined } | undefined;
  readonly additionalGids: readonly number[];
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly terminal: boolean;
}

/** What is executed: all of it, or changes. */
export type ExecProgram = { readonly process: ProcessSpec } | { readonly overrides: ExecOverrides };

/** How a program enters a container. */
export interface ExecRequest {
  readonly program: ExecProgram;
  /** Where the terminal's master is sent. */
  readonly console: Fd | undefined;
  readonly detaches: boolean;
  readonly pidFile: string | undefined;
  readonly preserved: readonly Fd[];
}

/** The process that a program has, by what the container was made with. */
export function execProcess(container: BundleContainer, program: ExecProgram): ProcessSpec {
  if ("process" in program) return program.process;
  const { process: own } = parseRuntimeConfig(readKeptConfig(container), "config.json");
  const { overrides } = program;
  const user = own?.user ?? { uid: 0, gid: 0 };
  const added = overrides.capabilities.map((name) => {
    const number = capabilityNumber(name);
    if (number === undefined) throw bundleError("BUNDLE_INVALID", `unknown capability ${JSON.stringify(name)}`);
    return capabilityName(number);
  });
  const withAdded = (list: readonly string[] | undefined) => [...new Set([...list ?? [], ...added])];
  const sets = own?.capabilities ?? {};
  return {
    ...own,
    cwd: overrides.cwd ?? own?.cwd ?? "/",
    args: [...overrides.args],
    env: [...own?.env ?? [], ...overrides.env],
    terminal: overrides.terminal,
    noNewPrivileges: overrides.noNewPrivileges || (own?.noNewPrivileges ?? false),
    user: {
      ...user,
      ...(overrides.user === undefined ? {} : { uid: overrides.user.uid, gid: overrides.user.gid ?? user.gid }),
      additionalGids: [...user.additionalGids ?? [], ...overrides.additionalGids],
    },
    capabilities: {
      ...sets,
      bounding: withAdded(sets.bounding),
      permitted: withAdded(sets.permitted),
      effective: withAdded(sets.effective),
    },
  };
}

/**
 * Starts a program in a container; returns when it runs.
 * @throws {DugoutError} CONTAINER_STATUS, PROGRAM_FAILED. {OsError} Of the step that failed.
 */
export function execInContainer(container: BundleContainer, request: ExecRequest): EnteredBundle {
  const status = statusOf(container);
  if (status === "stopped") throw bundleError("CONTAINER_STATUS", "cannot exec in a stopped container");
  if (status === "paused") throw bundleError("CONTAINER_STATUS", "cannot exec in a paused container");
  const spec = parseRuntimeConfig(readKeptConfig(container), "config.json");
  const process = execProcess(container, request.program);
  if ((process.args ?? []).length === 0) throw bundleError("BUNDLE_INVALID", "process args cannot be empty");
  const namespaces = differingNamespaces(container.stored.pid);
  const fds = planFds(request.preserved);
  const entersGroup = container.stored.group !== undefined;
  const tape = planBundleExec({
    process,
    personality: spec.linux?.personality,
    lastCapability: Number(readFileSync("/proc/sys/kernel/cap_last_cap", "latin1")),
    setsGroups: readFileSync(`/proc/${container.stored.pid}/setgroups`, "latin1").trim() === "allow",
    filter: planFilter({ ...spec, process }),
    fds,
    newKeyring: true,
    deathSignal: request.detaches ? undefined : SIGNALS.KILL,
    namespaces,
    entersGroup,
    detaches: request.detaches,
  });
  using target = openFirstProcess(container);
  if (target === undefined) throw bundleError("CONTAINER_STATUS", "cannot exec in a stopped container");
  const entered = enterBundle(
    tape,
    { target: target.fd, console: request.console, preserved: request.preserved, plan: fds },
    {
      enterGroup: entersGroup ? (pid) => joinGroup(container.directory, container.stored.pid, pid) : undefined,
      describe: (failed) => describeFailure(failed, { process }),
    },
  );
  if (request.pidFile !== undefined) writePidFile(request.pidFile, entered.pid);
  return entered;
}

/** Names of the files below /proc/PID/ns. */
const NAMESPACE_FILES: readonly (readonly [NamespaceType, string])[] = [
  ["user", "user"],
  ["mount", "mnt"],
  ["pid", "pid"],
  ["ipc", "ipc"],
  ["uts", "uts"],
  ["network", "net"],
  ["cgroup", "cgroup"],
  ["time", "time"],
];

/** The namespaces of a process that are not the caller's. @throws {OsError} ESRCH where it has just ended. */
function differingNamespaces(pid: number): NamespaceType[] {
  return NAMESPACE_FILES.filter(([, file]) => {
    const own = readNamespace("self", file);
    return own !== undefined && readNamespace(String(pid), file) !== own;
  }).map(([type]) => type);
}

function readNamespace(process: string, file: string): string | undefined {
  const path = `/proc/${process}/ns/${file}`;
  try {
    return readlinkSync(path);
  } catch (error) {
    if (process === "self") return undefined;
    const { code } = error as NodeJS.ErrnoException;
    throw new OsError({ call: "read namespace", object: path, code: code === "ENOENT" ? "ESRCH" : code ?? "EIO" });
  }
}
