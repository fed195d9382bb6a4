/**
 * From a bundle's root to its program, in the order in which rights are given up: what the specification says, and no more.
 *
 * @module
 */
import { capabilityNumber } from "#linux/capabilities.ts";
import { O_CLOEXEC, O_DIRECTORY, O_PATH } from "#linux/file.ts";
import { PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_SET_DUMPABLE } from "#linux/prctl.ts";
import { parseRlimitName, rlimitNumber } from "#linux/rlimits.ts";
import type { HookSpec, LinuxSpec, ProcessSpec } from "#oci/runtime_spec.ts";
import { compute, jumpTo, mark, operate, type Step, step } from "#tape/step.ts";
import { capabilityBits } from "../enter_steps.ts";
import { unblockSignalsStep } from "../monitor_steps.ts";
import {
  boundingSteps,
  capabilityStep,
  capsetStep,
  clearAmbientStep,
  deathSignalSteps,
  EXEC,
  executeSteps,
  filterStep,
  keyringSteps,
  limitSteps,
  noNewPrivilegesStep,
  searchPath,
  userSteps,
  workingDirectorySteps,
} from "../process_steps.ts";
import { closeOthersSteps } from "../preserved_fds.ts";
import { controllingTerminalStep, useTerminalSteps } from "../terminal_steps.ts";
import { hookSteps } from "./hook_steps.ts";
import { schedulingSteps } from "./scheduling_steps.ts";
import type { FdPlan } from "./setup.ts";

/** What a process of a bundle's container takes on, be it the first or another one. */
export interface BundleProcess {
  readonly process: ProcessSpec;
  readonly personality: LinuxSpec["personality"];
  readonly lastCapability: number;
  readonly setsGroups: boolean;
  readonly filter: { readonly program: Uint8Array; readonly flags: number } | undefined;
  readonly fds: FdPlan;
  readonly newKeyring: boolean;
  readonly deathSignal: number | undefined;
  /** Whether it waits at the gate until it is started, and what runs in the container then. */
  readonly gate: { readonly hooks: readonly HookSpec[] } | undefined;
  /** What runs in the container right before the program, without a gate. */
  readonly hooks: readonly HookSpec[];
}

/** From the container's root to its program. */
export function bundleProcessSteps(plan: BundleProcess): Step[] {
  const { process, lastCapability: last, fds } = plan;
  const known = (1n << BigInt(last + 1)) - 1n;
  const sets = process.capabilities ?? {};
  const bits = (names: readonly string[] | undefined) => capabilityBits(names) & known;
  const wanted = {
    effective: bits(sets.effective),
    permitted: bits(sets.permitted),
    inheritable: bits(sets.inheritable),
  };
  const ambient = bits(sets.ambient) & wanted.permitted & wanted.inheritable;
  const { uid, gid, additionalGids = [] } = process.user;
  const filter = plan.filter === undefined ? [] : [filterStep(plan.filter)];
  const limits = (process.rlimits ?? []).map(({ type, soft, hard }) => ({
    number: rlimitNumber(parseRlimitName(type)!),
    name: type,
    soft,
    hard,
  }));
  return [
    ...limitSteps(limits),
    ...(plan.newKeyring ? keyringSteps(true) : []),
    ...schedulingSteps(process, plan.personality),
    ...(process.terminal ? [...useTerminalSteps(), controllingTerminalStep()] : []),
    ...closeOthersSteps(fds, plan.gate !== undefined || plan.hooks.length > 0 ? [fds.gate, fds.startState] : []),
    step("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], "be closed to", "ptrace"),
    ...workingDirectorySteps(process.cwd),
    ...boundingSteps(bits(sets.bounding), last),
    ...userSteps(uid, gid, plan.setsGroups ? additionalGids : undefined),
    ...deathSignalSteps(plan, "the monitor, once more"),
    ...(uid === 0 ? [] : [capabilityStep(known, known, "all, once more, after the change of user")]),
    ...(process.noNewPrivileges ? [noNewPrivilegesStep()] : []),
    ...(plan.gate === undefined
      ? hookSteps("start the container", plan.hooks, fds.startState, fds.error)
      : gateSteps(plan.gate, process, fds)),
    clearAmbientStep(),
    // without no_new_privs the kernel takes a filter only from who is mighty
    ...(process.noNewPrivileges ? [] : filter),
    capsetStep(wanted, "of the program"),
    ...ambientSteps(ambient, last),
    ...(process.noNewPrivileges ? filter : []),
    unblockSignalsStep(),
    ...executeSteps(process.args ?? [], process.env ?? []),
  ];
}

/** Names of capabilities that this machine's kernel does not know. */
export function unknownCapabilities({ capabilities = {} }: ProcessSpec, last: number): string[] {
  const names = new Set(Object.values(capabilities).flatMap((list: readonly string[] | undefined) => list ?? []));
  return [...names].filter((name) => {
    const number = capabilityNumber(name);
    return number === undefined || number > last;
  });
}

function ambientSteps(ambient: bigint, last: number): Step[] {
  return Array.from({ length: last + 1 }, (_, number) => number).filter((number) => ambient >> BigInt(number) & 1n).map(
    (number) => step("prctl", [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0], "keep capability", String(number)),
  );
}

/** Tells that all is well, and waits until it is started. */
function gateSteps({ hooks }: { readonly hooks: readonly HookSpec[] }, process: ProcessSpec, fds: FdPlan): Step[] {
  return [
    ...findProgramSteps(process),
    step("close", [fds.error], "close", "the error pipe"),
    step("read", [fds.gate, { buffer: "go" }, 1], "wait for", "the start", { retry: true }),
    ...hookSteps("start the container", hooks, fds.startState, fds.error),
  ];
}

/** Fails as exec would, if the program is not there: later nobody could be told. */
function findProgramSteps({ args = [], env = [] }: ProcessSpec): Step[] {
  const X_OK = 1;
  const AT_FDCWD = -100;
  const EACCES = 13;
  const name = args[0] ?? "";
  const object = name === "" ? '""' : name;
  if (name.includes("/")) {
    return [
      step("faccessat", [AT_FDCWD, name, X_OK], "execute", object, { id: `${EXEC} found` }),
      ...notDirectorySteps(name, object),
    ];
  }
  const places = name === "" ? [] : searchPath(env).map((directory) => `${directory}/${name}`);
  return [
    ...places.flatMap((path, index) => [
      step("faccessat", [AT_FDCWD, path, X_OK], "look for", path, {
        id: `found ${index}`,
        ignore: true,
        jump: { when: "zero", to: "program is there" },
      }),
      compute("eq", { result: `found ${index}` }, -EACCES, "may it not be executed", {
        jump: { when: "nonzero", to: "program is closed" },
      }),
    ]),
    jumpTo("program is missing", "there is none"),
    mark("program is closed", "it may not be executed"),
    operate("fail", [EACCES], "execute", { object, id: `${EXEC} closed` }),
    mark("program is missing", "there is none"),
    operate("fail", [2], "execute", { object, id: `${EXEC} missing` }),
    mark("program is there", "the program is there"),
  ];
}

/** A directory may be entered (X_OK) and not executed. */
function notDirectorySteps(path: string, object: string): Step[] {
  const EACCES = 13;
  const flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  return [
    step("openat", [-100, path, flags, 0], "is it a directory", object, {
      jump: { when: "error", to: "program is a file" },
    }),
    operate("fail", [EACCES], "execute", { object, id: `${EXEC} directory` }),
    mark("program is a file", "it is no directory"),
  ];
}

/** Whether the failure of a step is that of the program, and not of what comes before it. */
export function isExecStep(id: string | undefined): boolean {
  return id !== undefined && (id === EXEC || id.startsWith(`${EXEC} `));
}
