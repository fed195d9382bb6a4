/**
 * The group of a container: made, and limited. Paths are of the mounted tree.
 *
 *     by systemd        …/dugout-ID-RANDOM.scope/supervisor    the monitor and its copiers
 *                                               /container     the container, with its limits
 *     in our own group  …/dugout-callers                       who was in our group before
 *                       …/dugout-ID                            the container, with its limits
 *
 * @module
 */
import * as fs from "node:fs";
import {
  CGROUP_MOUNT,
  CONTROLLERS,
  groupText,
  parseProcessGroup,
  parseWords,
  tryMakeGroup,
  tryWriteGroupFile,
  writeGroupFile,
} from "#linux/cgroup.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { EEXIST, ENOENT, EOPNOTSUPP, ESRCH } from "#linux/errno_values.ts";
import { readProcFile } from "#linux/proc.ts";
import { randomHex } from "#linux/random.ts";
import { DugoutError } from "#oci/error.ts";
import { BusError } from "./dbus/error.ts";
import { CONTAINER, type ContainerGroup } from "./find_group.ts";
import { busFailure, missingControllerError } from "./group_error.ts";
import { CALLERS_LEAF } from "./callers_leaf.ts";
import type { Place } from "./place.ts";
import { withPlaceLock } from "./place_lock.ts";
import type { GroupSetting } from "./resources.ts";
import { sweepOwnGroups } from "./sweep_groups.ts";
import { startScope } from "./systemd.ts";

/** A group that is to be made. */
export interface GroupPlan {
  readonly place: Place & { readonly kind: "systemd" | "own" };
  /** Of the container: 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** A slice of the manager's, or a group below our own that is there. */
  readonly parent: string | undefined;
  readonly settings: readonly GroupSetting[];
  /** Whether a limit that the kernel refuses is told and passed over. */
  readonly pass: ((message: string) => void) | undefined;
}

/** Below a scope, where the monitor is. */
export const SUPERVISOR = "supervisor";

/**
 * Makes the group of a container whose monitor is there.
 * @returns Its directory.
 * @throws {DugoutError | OsError | BusError} When it cannot be, or a limit is refused.
 */
export function makeGroup(plan: GroupPlan, monitor: number): string {
  return plan.place.kind === "systemd" ? makeInScope(plan, monitor, plan.place) : makeInOwn(plan, plan.place);
}

function makeInScope(plan: GroupPlan, monitor: number, { socket }: Place & { kind: "systemd" }): string {
  const unit = `dugout-${plan.id}-${randomHex(4)}.scope`;
  const description = `dugout container ${plan.name}`;
  try {
    startScope({ name: unit, description, pids: [monitor], slice: plan.parent }, process.geteuid!(), socket);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    throw busFailure("Cannot get a control group for the container", error);
  }
  const found = parseProcessGroup(readProcFile(`/proc/${monitor}/cgroup`) ?? "");
  if (found === undefined || !found.endsWith(`/${unit}`)) {
    throw new DugoutError(
      "CGROUP_LOST",
      `Cannot find the control group of ${unit}: the monitor is in ${found ?? "none"}`,
    );
  }
  const scope = `${CGROUP_MOUNT}${found}`;
  const supervisor = `${scope}/${SUPERVISOR}`;
  make(supervisor);
  writeGroupFile(supervisor, "cgroup.procs", String(monitor));
  turnOn(scope, CONTROLLERS, plan.settings);
  const group = `${scope}/${CONTAINER}`;
  make(group);
  applySettings(group, plan.settings, plan.pass);
  return group;
}

function makeInOwn(plan: GroupPlan, { group: own }: Place & { kind: "own" }): string {
  const place = `${CGROUP_MOUNT}${own === "/" ? "" : own}`;
  try {
    return withPlaceLock(place, () => {
      if (plan.settings.length > 0) divide(place, own === "/", plan.settings);
      const group = `${openParent(place, plan)}/dugout-${plan.id}`;
      make(group);
      applySettings(group, plan.settings, plan.pass);
      return group;
    });
  } catch (error) {
    sweepOwnGroups((id) => id === plan.id ? true : undefined);
    throw error;
  }
}

/** A group below ours that somebody has made, with the controllers that are needed in it. */
function openParent(place: string, { parent, settings }: GroupPlan): string {
  let path = place;
  for (const name of parent?.split("/") ?? []) {
    path = `${path}/${name}`;
    if (!fs.existsSync(path)) {
      throw new DugoutError("LIMIT_IMPOSSIBLE", `Cannot make a control group below ${path}: it is not there`, {
        hint: "make it first: mkdir",
      });
    }
    if (settings.length > 0) turnOn(path, [], settings);
  }
  return path;
}

/**
 * Writes other limits into a group that is there. Where one is refused, those before it are as they were.
 * @throws {DugoutError} LIMIT_REFUSED, LIMIT_IMPOSSIBLE.
 */
export function updateGroup({ path, scope }: ContainerGroup, settings: readonly GroupSetting[]): void {
  const above = path.slice(0, path.lastIndexOf("/"));
  // one without limits was made without controllers
  if (scope === undefined) withPlaceLock(above, () => divide(above, above === CGROUP_MOUNT, settings));
  else turnOn(above, [], settings);
  const before = settings.map((setting) => ({ ...setting, value: groupText(path, setting.file)?.trim() ?? "" }));
  for (const [index, setting] of settings.entries()) {
    try {
      applySettings(path, [setting], undefined);
    } catch (error) {
      // lists of devices are put back by what was asked for alone: their files have a line for each
      const written = before.slice(0, index).filter(({ value }) => value !== "" && !value.includes("\n"));
      applySettings(path, written.reverse(), () => {});
      throw error;
    }
  }
}

function make(group: string): void {
  const result = tryMakeGroup(group);
  if (result < 0 && result !== -EEXIST) {
    throw new OsError({ call: "mkdir", object: group, code: errnoName(-result) });
  }
}

/** Processes come and go while they are moved. */
const MOST_ROUNDS = 50;

/** Moves all processes of our group to a leaf, so that it can have groups with limits. The root of all is not bound to that. */
function divide(place: string, isRoot: boolean, settings: readonly GroupSetting[]): void {
  const wanted = CONTROLLERS.filter((name) => settings.some(({ controller }) => controller === name));
  if (!isRoot) make(`${place}/${CALLERS_LEAF}`);
  for (let round = 1;; round++) {
    if (!isRoot) moveAll(place, `${place}/${CALLERS_LEAF}`);
    try {
      return turnOn(place, wanted, settings);
    } catch (error) {
      if (!(error instanceof OsError) || error.code !== "EBUSY" || round === MOST_ROUNDS) throw error;
    }
  }
}

function moveAll(from: string, to: string): void {
  for (const pid of parseWords(groupText(from, "cgroup.procs") ?? "")) {
    // 0 is a process of another pid namespace
    const result = pid === "0" ? 0 : tryWriteGroupFile(to, "cgroup.procs", pid);
    if (result < 0 && result !== -ESRCH) {
      throw new OsError({
        call: `move process ${pid} to`,
        object: to,
        code: errnoName(-result),
        hint: "a control group with limits below it can have no processes of its own, and this one cannot be moved",
      });
    }
  }
}

/** Turns controllers on for the groups below; those that are not there, and are not needed, are passed over. */
function turnOn(group: string, wanted: readonly string[], settings: readonly GroupSetting[]): void {
  const there = parseWords(groupText(group, "cgroup.controllers") ?? "");
  const needed = new Set(settings.map(({ controller }) => controller));
  const missing = [...needed].filter((name) => !there.includes(name));
  if (missing.length > 0) {
    const { what } = settings.find(({ controller }) => controller === missing[0])!;
    throw missingControllerError(what, missing[0]!, [...there, ...missing]);
  }
  const names = [...new Set([...wanted, ...needed])].filter((name) => there.includes(name));
  if (names.length === 0) return;
  writeGroupFile(group, "cgroup.subtree_control", names.map((name) => `+${name}`).join(" "));
}

/** Why the kernel refuses a limit, by file and error. */
function settingHint({ file, controller }: GroupSetting, code: string): string | undefined {
  if (code === "ENOENT") {
    switch (file) {
      case "memory.swap.max":
        return "this kernel does not account for swap (kernel parameter swapaccount=1)";
      case "io.weight":
        return "weights for disks need a kernel with CONFIG_BLK_CGROUP_IOCOST, or the scheduler BFQ";
      default:
        return `this kernel's controller "${controller}" has no such limit`;
    }
  }
  if (file.startsWith("cpuset.")) return "the processors or memory nodes are not there, or not ours to use";
  if (file.startsWith("io.") && code === "ENODEV") {
    return "it is no disk as a whole: limits are for disks, not partitions";
  }
  if (file === "cpu.max" && code === "EINVAL") return "a period is 1000 to 1000000 microseconds, a quota 1000 at least";
  return undefined;
}

/**
 * Writes limits.
 * @param pass Told of what the kernel refuses, which is passed over then.
 * @throws {DugoutError} LIMIT_REFUSED.
 */
export function applySettings(
  group: string,
  settings: readonly GroupSetting[],
  pass: ((message: string) => void) | undefined,
): void {
  for (const setting of settings) {
    const result = writeSetting(group, setting);
    if (result === 0) continue;
    const code = errnoName(-result);
    if (setting.isImplied && code === "ENOENT") continue;
    const message = `Cannot limit ${setting.what}: writing ${setting.value} to ${setting.file}: ${code}`;
    const hint = settingHint(setting, code);
    if (pass !== undefined) pass(hint === undefined ? message : `${message} (${hint})`);
    else throw new DugoutError("LIMIT_REFUSED", message, { hint });
  }
}

/** BFQ has a file of its own for weights. */
function writeSetting(group: string, { file, value }: GroupSetting): number {
  const result = tryWriteGroupFile(group, file, value);
  if (file !== "io.weight" || (result !== -ENOENT && result !== -EOPNOTSUPP)) return result;
  const [device, weight] = value.split(" ");
  // BFQ's weights go to 1000
  const bfq = Math.max(1, Math.round(Number(weight) / 10));
  return tryWriteGroupFile(group, "io.bfq.weight", device === "default" ? String(bfq) : `${device} ${bfq}`);
}
