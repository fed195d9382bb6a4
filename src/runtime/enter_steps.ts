/**
 * From the new root to the program, in the order in which rights are given up.
 *
 * @module
 */
import { capabilityNumber } from "#linux/capabilities.ts";
import { isSingle } from "#linux/idmap.ts";
import { PR_SET_DUMPABLE } from "#linux/prctl.ts";
import { parseRlimitName, rlimitNumber } from "#linux/rlimits.ts";
import type { ProcessSpec } from "#oci/runtime_spec.ts";
import { type Step, step } from "#tape/step.ts";
import { place } from "./mount_steps.ts";
import { reaperSteps, unblockSignalsStep } from "./monitor_steps.ts";
import {
  boundingSteps,
  capabilityStep,
  clearAmbientStep,
  deathSignalSteps,
  executeSteps,
  filterStep,
  keyringSteps,
  limitSteps,
  noNewPrivilegesStep,
  scopeSteps,
  userSteps,
  workingDirectorySteps,
} from "./process_steps.ts";
import type { ContainerSetup } from "./setup.ts";
import { controllingTerminalStep, useTerminalSteps } from "./terminal_steps.ts";
import { closeOthersSteps, NO_FDS } from "./preserved_fds.ts";
import { namespaceOf } from "./namespace_steps.ts";

const LANDLOCK_SCOPES_ABI = 6;

export function capabilityBits(names: readonly string[] | undefined): bigint {
  return (names ?? []).reduce((set, name) => {
    const number = capabilityNumber(name);
    return number === undefined ? set : set | 1n << BigInt(number);
  }, 0n);
}

/** What a process of a container takes on, be it the first or another one. */
export type ProcessSetup =
  & Pick<
    ContainerSetup,
    "filter" | "filterHidesKeys" | "host" | "init" | "keepGroups" | "map" | "spec" | "preserved"
  >
  & { readonly deathSignal?: number | undefined; readonly stdio: { readonly kind: ContainerSetup["stdio"]["kind"] } };

/** From the new root to the program. */
export function processSteps(setup: ProcessSetup, process: ProcessSpec): Step[] {
  const { host, spec } = setup;
  const known = (1n << BigInt(host.lastCapability + 1)) - 1n;
  const sets = process.capabilities ?? {};
  const bounding = capabilityBits(sets.bounding) & known;
  // mostly one list: to read it takes half a millisecond in a process that has just started
  const permitted = (sets.permitted === sets.bounding ? bounding : capabilityBits(sets.permitted)) & bounding;
  const effective = (sets.effective === sets.permitted ? permitted : capabilityBits(sets.effective)) & permitted;
  const { uid, gid, additionalGids } = process.user;
  // without subordinate ids the kernel forbids setgroups, and there is no other id to become
  const single = isSingle(setup.map);
  const groups = single || setup.keepGroups ? undefined : additionalGids ?? [];
  const filter = setup.filter === undefined ? [] : [filterStep(setup.filter)];
  const shared = host.landlockAbi >= LANDLOCK_SCOPES_ABI
    ? scopeSteps(namespaceOf(spec, "network") === "host", namespaceOf(spec, "pid") === "host")
    : [];
  const limits = (process.rlimits ?? []).map(({ type, soft, hard }) => ({
    number: rlimitNumber(parseRlimitName(type.replace("RLIMIT_", ""))!),
    name: type,
    soft,
    hard,
  }));
  return [
    ...limitSteps(limits),
    ...keyringSteps(!setup.filterHidesKeys),
    ...(setup.stdio.kind === "terminal" ? useTerminalSteps() : []),
    // with --init the program's session has it
    ...(setup.stdio.kind === "terminal" && !setup.init ? [controllingTerminalStep()] : []),
    // nothing of ours is open in the container but the error pipe, until the program runs
    ...closeOthersSteps(setup.preserved ?? NO_FDS),
    step("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], "be closed to", "ptrace"),
    ...workingDirectorySteps(process.cwd),
    ...boundingSteps(bounding, host.lastCapability),
    ...userSteps(uid, gid, groups),
    ...deathSignalSteps(setup, "the monitor, once more"),
    ...(uid === 0 ? [] : [capabilityStep(known, known, "all, once more, after the change of user")]),
    ...shared,
    ...(process.noNewPrivileges ? [noNewPrivilegesStep()] : []),
    ...filter,
    clearAmbientStep(),
    capabilityStep(effective, permitted, "of the program"),
    ...(setup.init ? initSteps(setup) : []),
    unblockSignalsStep(),
    ...executeSteps(process.args ?? [], process.env ?? []),
  ];
}

/** Process 1 becomes the reaper, restricted as the program is; the program is its child and leads its session. */
function initSteps(setup: ProcessSetup): Step[] {
  return [
    ...reaperSteps("program child"),
    place("program child", "the program"),
    step("setsid", [], "lead", "a new session"),
    ...(setup.stdio.kind === "terminal" ? [controllingTerminalStep()] : []),
  ];
}
