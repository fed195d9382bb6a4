/**
 * The group of a container: made, found again by its id, limited, frozen, killed, removed. Paths are of the mounted tree.
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
  parseFlatKeyed,
  parseProcessGroup,
  parseWords,
  tryMakeGroup,
  tryWriteGroupFile,
  writeGroupFile,
} from "#linux/cgroup.ts";
import { tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { EBUSY, EEXIST, ENOENT, EOPNOTSUPP, ESRCH } from "#linux/errno_values.ts";
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openAt } from "#linux/file.ts";
import { readProcFile } from "#linux/proc.ts";
import { randomHex } from "#linux/random.ts";
import { DugoutError } from "#oci/error.ts";
import { CALLERS_LEAF, delegationDropIn, DROP_IN_PATH, type Place } from "./place.ts";
import type { GroupSetting } from "./resources.ts";
import { startScope } from "./systemd.ts";

/** A group that is to be made. */
export interface GroupPlan {
  readonly place: Place & { readonly kind: "systemd" | "own" };
  /** Of the container: 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  readonly slice: string | undefined;
  readonly settings: readonly GroupSetting[];
  /** Whether a limit that the kernel refuses is told and passed over. */
  readonly pass: ((message: string) => void) | undefined;
}

const SUPERVISOR = "supervisor";
const CONTAINER = "container";

/** A container's group that is there. */
export interface ContainerGroup {
  /** Its directory. */
  readonly path: string;
  /** The scope that it is part of, and where in it; undefined where it is none of systemd's. */
  readonly scope: { readonly unit: string; readonly subgroup: string } | undefined;
}

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
  startScope({ name: unit, description, pid: monitor, slice: plan.slice }, process.geteuid!(), socket);
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
  return withPlaceLock(place, () => {
    if (plan.settings.length > 0) divide(place, own === "/", plan.settings);
    const group = `${place}/dugout-${plan.id}`;
    make(group);
    try {
      applySettings(group, plan.settings, plan.pass);
    } catch (error) {
      removeGroup(group);
      throw error;
    }
    return group;
  });
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

/** The error for a limit whose controller we were not given. @param wanted What an administrator would have to delegate. */
export function missingControllerError(what: string, controller: string, wanted: readonly string[]): DugoutError {
  return new DugoutError(
    "LIMIT_IMPOSSIBLE",
    `Cannot limit ${what}: the controller "${controller}" is not delegated to you`,
    {
      hint:
        `ask an administrator to save "${delegationDropIn(wanted).trim().replace("\n", "\\n")}" as ${DROP_IN_PATH}, ` +
        "run 'systemctl daemon-reload', and let you log in anew; --limits=best-effort runs without the limit",
    },
  );
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

/** Runs while no other process of ours divides this group. The lock is one of the directory, and goes with the process. */
function withPlaceLock<T>(place: string, act: () => T): T {
  const LOCK_EX = 2;
  const fd = openAt(AT_FDCWD, place, O_RDONLY | O_DIRECTORY);
  try {
    tryCall("flock", fd, LOCK_EX);
    return act();
  } finally {
    close(fd);
  }
}

/** Whether a directory's name is that of the group of this container, and which part of it the container is in. */
function groupPart(name: string, id: string): string | undefined {
  if (name === `dugout-${id}`) return "";
  return name.startsWith(`dugout-${id}-`) && name.endsWith(".scope") ? `/${CONTAINER}` : undefined;
}

/**
 * The group of a container, from where one of its processes is: which may be further down, where it has divided its own.
 * Undefined where it has none of its own.
 * @param processGroup The text of /proc/PID/cgroup.
 */
export function groupOfContainer(id: string, processGroup: string): ContainerGroup | undefined {
  const parts = (parseProcessGroup(processGroup) ?? "").split("/");
  const at = parts.findIndex((part) => groupPart(part, id) !== undefined);
  const unit = parts[at];
  if (unit === undefined) return undefined;
  const subgroup = groupPart(unit, id)!;
  return {
    path: `${CGROUP_MOUNT}${parts.slice(0, at + 1).join("/")}${subgroup}`,
    scope: subgroup === "" ? undefined : { unit, subgroup },
  };
}

/** The group of a container whose first process runs. */
export function findGroup(id: string, pid: number): ContainerGroup | undefined {
  return groupOfContainer(id, readProcFile(`/proc/${pid}/cgroup`) ?? "");
}

/** Kills all that is in a group (Linux 5.14). @returns Whether the kernel could. */
export function killGroup(group: string): boolean {
  return tryWriteGroupFile(group, "cgroup.kill", "1") === 0;
}

/** Whether a group is frozen; one that is just being frozen is not. */
export function isFrozen(group: string): boolean {
  return parseFlatKeyed(groupText(group, "cgroup.events") ?? "").get("frozen") === 1;
}

/** Removes a group and those that were made in it, if no process is in any. @returns Whether it is gone. */
export function removeGroup(group: string, depth = 0): boolean {
  const MOST_DEPTH = 64;
  if (depth > MOST_DEPTH) return false;
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(group, { withFileTypes: true });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
  for (const entry of entries) if (entry.isDirectory()) removeGroup(`${group}/${entry.name}`, depth + 1);
  try {
    fs.rmdirSync(group);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** So long a group may be empty because its container is just being started. */
const STARTING_MS = 60_000;

/**
 * Removes groups that are left in our own group: of containers that have ended or are gone. With the last one, the processes
 * of our group go back to where they were.
 * @param isOver Whether the container of this id has ended; undefined where it is not known.
 */
export function sweepGroups(place: Place, isOver: (id: string) => boolean | undefined): void {
  if (place.kind !== "own") return;
  const folder = `${CGROUP_MOUNT}${place.group === "/" ? "" : place.group}`;
  const names = listGroups(folder);
  if (names.length === 0 && !fs.existsSync(`${folder}/${CALLERS_LEAF}`)) return;
  withPlaceLock(folder, () => {
    for (const name of names) {
      const over = isOver(name.slice("dugout-".length));
      if (over === false || (over === undefined && isYoung(`${folder}/${name}`))) continue;
      removeGroup(`${folder}/${name}`);
    }
    if (listGroups(folder).length === 0) undivide(folder);
  });
}

function listGroups(folder: string): string[] {
  try {
    return fs.readdirSync(folder).filter((name) => /^dugout-[0-9a-f]{64}$/.test(name));
  } catch {
    return [];
  }
}

function isYoung(path: string): boolean {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.ctimeMs < STARTING_MS;
}

/** Whoever is in the leaf goes back; what cannot be done is left for the next time. */
function undivide(folder: string): void {
  const leaf = `${folder}/${CALLERS_LEAF}`;
  if (!fs.existsSync(leaf)) return;
  // nobody else's groups may lose their limits
  const others = fs.readdirSync(folder, { withFileTypes: true }).some((entry) =>
    entry.isDirectory() && entry.name !== CALLERS_LEAF
  );
  if (others) return;
  const on = parseWords(groupText(folder, "cgroup.subtree_control") ?? "");
  if (
    on.length > 0 && tryWriteGroupFile(folder, "cgroup.subtree_control", on.map((name) => `-${name}`).join(" ")) < 0
  ) {
    return;
  }
  for (let round = 1; round <= MOST_ROUNDS; round++) {
    const pids = parseWords(groupText(leaf, "cgroup.procs") ?? "");
    for (const pid of pids) tryWriteGroupFile(folder, "cgroup.procs", pid);
    const path = fs.existsSync(leaf) ? tryRemove(leaf) : 0;
    if (path !== -EBUSY) return;
  }
}

function tryRemove(group: string): number {
  try {
    fs.rmdirSync(group);
    return 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EBUSY" ? -EBUSY : -ENOENT;
  }
}
