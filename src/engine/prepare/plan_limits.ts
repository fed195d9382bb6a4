/**
 * From what a container is limited to, and what the machine gives us, to what is done about it: a control group of its own with
 * settings, or what can be had without one. Loaded for containers that need it alone.
 *
 * @module
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { missingControllerError } from "#cgroup/group_error.ts";
import { choosePlace, type GroupFacts, type Place, readGroupFacts } from "#cgroup/place.ts";
import { DEFAULT_PERIOD, type GroupSetting, planSettings } from "#cgroup/resources.ts";
import { findAccount } from "#linux/account.ts";
import { CONTROLLERS, parseCpuList } from "#linux/cgroup.ts";
import { readProcFile } from "#linux/proc.ts";
import { DugoutError } from "#oci/error.ts";
import type { ResourcesSpec, ThrottleSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import { checkProcessors } from "#docker/limits.ts";
import type { DeviceAmount, LimitsRequest, RunRequest } from "#docker/run_request.ts";

/** How a container is limited. */
export interface PlannedLimits {
  /** As the runtime specification has it: what is asked for. */
  readonly resources: ResourcesSpec;
  /** The group of its own, if it gets one. */
  readonly group: PlannedGroup | undefined;
  /** Processors that it is kept to without a group. */
  readonly affinity: readonly number[] | undefined;
  /** Sysctls of the container's namespaces that limit it without a group. */
  readonly sysctls: ReadonlyMap<string, string>;
  /** What the user has to know. */
  readonly notices: readonly string[];
}

/** A group that is made at the start. */
export interface PlannedGroup {
  readonly place: Place & { readonly kind: "systemd" | "own" };
  readonly settings: readonly GroupSetting[];
  /** `--cgroup-parent`. */
  readonly parent: string | undefined;
  readonly bestEffort: boolean;
  /** Whether the container can be given the group without being able to change its limits. */
  readonly canBeWritable: boolean;
}

/** What the machine says. */
export interface LimitFacts {
  readonly group: GroupFacts;
  readonly kernel: readonly [major: number, minor: number];
  /** Processors that the caller may use, and those that the machine has. */
  readonly allowedCpus: readonly number[];
  readonly onlineCpus: readonly number[];
  /** Whether the user's processes live on when the last session ends; undefined where nobody tells. */
  readonly lingers: boolean | undefined;
  /** Of a block device; undefined where it is none. */
  readonly deviceOf: (path: string) => { major: number; minor: number } | undefined;
}

/** Looks at the machine. */
export function readLimitFacts(kernel: LimitFacts["kernel"]): LimitFacts {
  const group = readGroupFacts();
  const allowed = /^Cpus_allowed_list:\t(.*)$/m.exec(readProcFile("/proc/self/status") ?? "")?.[1];
  const allowedCpus = parseCpuList(allowed ?? "") ?? [];
  return {
    group,
    kernel,
    allowedCpus,
    onlineCpus: parseCpuList(readText("/sys/devices/system/cpu/online")) ?? allowedCpus,
    lingers: lingers(group.uid),
    deviceOf,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** systemd-logind keeps a file of the user's name for those whose manager runs without a session (loginctl enable-linger). */
function lingers(uid: number): boolean | undefined {
  if (uid === 0) return true;
  const name = findAccount(uid)?.name;
  return name === undefined || !existsSync("/run/systemd/seats") && !existsSync("/var/lib/systemd/linger")
    ? undefined
    : existsSync(`/var/lib/systemd/linger/${name}`);
}

/** The numbers of a disk, from those of its node (makedev(3)). */
function deviceOf(path: string): { major: number; minor: number } | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isBlockDevice()) return undefined;
  return { major: stat.rdev >> 8 & 0xfff, minor: stat.rdev & 0xff | stat.rdev >> 12 & 0xfff00 };
}

/** The limits as the runtime specification has them. @throws {DugoutError} LIMIT_DEVICE for a device that is not there. */
export function resourcesOf(limits: LimitsRequest, deviceOf: LimitFacts["deviceOf"]): ResourcesSpec {
  const devices = (amounts: readonly DeviceAmount[]): (ThrottleSpec & { weight: number })[] =>
    amounts.map(({ path, amount }) => {
      const device = deviceOf(path);
      if (device !== undefined) return { ...device, rate: amount, weight: amount };
      throw new DugoutError("LIMIT_DEVICE", `Cannot limit ${quote(path)}: it is no block device of this machine`, {
        hint: "lsblk lists them",
      });
    });
  const { memoryBytes, memorySwapBytes, memoryReservationBytes, nanoCpus, cpuQuota, cpuPeriod, cpuShares } = limits;
  // docker's: without a word about it as much swap as memory
  const swap = memorySwapBytes ?? (memoryBytes === undefined ? undefined : memoryBytes * 2);
  const quota = nanoCpus === undefined ? cpuQuota : Math.round(nanoCpus * DEFAULT_PERIOD / 1e9);
  const period = nanoCpus === undefined ? cpuPeriod : DEFAULT_PERIOD;
  return withoutEmpty({
    memory: withoutUndefined({ limit: memoryBytes, swap, reservation: memoryReservationBytes }),
    cpu: withoutUndefined({ shares: cpuShares, quota, period, cpus: limits.cpusetCpus, mems: limits.cpusetMems }),
    pids: withoutUndefined({ limit: limits.pidsLimit }),
    blockIO: withoutUndefined({
      weight: limits.blkioWeight,
      weightDevice: orUndefined(devices(limits.blkioWeightDevices)),
      throttleReadBpsDevice: orUndefined(devices(limits.deviceReadBps)),
      throttleWriteBpsDevice: orUndefined(devices(limits.deviceWriteBps)),
      throttleReadIOPSDevice: orUndefined(devices(limits.deviceReadIops)),
      throttleWriteIOPSDevice: orUndefined(devices(limits.deviceWriteIops)),
    }),
  });
}

function orUndefined<T>(list: T[]): T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function withoutUndefined<T extends object>(object: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

function withoutEmpty(resources: ResourcesSpec): ResourcesSpec {
  return Object.fromEntries(Object.entries(resources).filter(([, part]) => Object.keys(part).length > 0));
}

/**
 * Plans. Pure but for what `facts` looks up.
 * @throws {DugoutError} LIMIT_IMPOSSIBLE, with the reason and what to do; FLAG_INVALID for more processors than there are.
 */
export function planLimits(request: RunRequest, outlivesCaller: boolean, facts: LimitFacts): PlannedLimits {
  const { limits } = request;
  const bestEffort = limits.mode === "best-effort";
  checkAgainstMachine(limits, facts);
  const resources = resourcesOf(limits, facts.deviceOf);
  const notices: string[] = [];
  const chosen = choosePlace(facts.group);
  const place = parentProblem(chosen, limits.cgroupParent);
  let affinity: readonly number[] | undefined;
  const sysctls = new Map<string, string>();
  const wanted = planSettings(resources).map((setting) =>
    setting.file === "memory.swap.max" && limits.memorySwapBytes === undefined
      ? { ...setting, isImplied: true }
      : setting
  );
  const settings = wanted.filter((setting) => {
    if (place.kind !== "none" && place.controllers.includes(setting.controller)) {
      // who is born in a group did not get its processors before Linux 6.4
      if (setting.file === "cpuset.cpus" && isOlderThan(facts.kernel, 6, 4)) affinity = parseCpuList(setting.value);
      return true;
    }
    const error = impossible(setting, place);
    if (setting.file === "cpuset.cpus") {
      affinity = parseCpuList(setting.value);
      const absent = affinity?.filter((number) => !facts.allowedCpus.includes(number)) ?? [];
      if (absent.length > 0) throw notAllowed(absent, facts.allowedCpus);
      notices.push(
        "--cpuset-cpus is kept by the scheduler's affinity alone, which a program can widen again: no controller cpuset is delegated",
      );
      return false;
    }
    const pidMax = setting.file === "pids.max" ? pidMaxFor(request, setting.value, facts.kernel) : undefined;
    if (pidMax !== undefined) {
      sysctls.set("kernel.pid_max", pidMax);
      notices.push(
        "--pids-limit is kept by the largest pid of the container's own pid namespace: no controller pids is delegated",
      );
      return false;
    }
    if (!bestEffort) throw error;
    if (setting.isImplied) return false;
    notices.push(`${error.message}: the container runs without this limit`);
    return false;
  });
  if (limits.cgroupParent !== undefined && place.kind === "none" && !bestEffort) {
    throw parentError(limits.cgroupParent, place.reason);
  }
  const { writableCgroups } = request.security;
  const wantsGroup = settings.length > 0 || outlivesCaller || limits.cgroupParent !== undefined || writableCgroups;
  const group = place.kind === "none" || !wantsGroup
    ? undefined
    : { place, settings, parent: limits.cgroupParent, bestEffort, canBeWritable: facts.group.nsdelegate };
  if (writableCgroups && group === undefined) {
    notices.push("the container's control groups can be read alone: there is none of its own that could be written");
  }
  if (outlivesCaller && group?.place.kind === "systemd" && facts.lingers === false) {
    notices.push("the container ends when you log out: 'loginctl enable-linger' lets it run on");
  }
  return { resources, group, affinity, sysctls, notices };
}

/** Refuses processors that there are not. @throws {DugoutError} FLAG_INVALID, in docker's words. */
export function checkAgainstMachine(limits: LimitsRequest, { allowedCpus, onlineCpus }: LimitFacts): void {
  checkProcessors(limits, allowedCpus.length || onlineCpus.length);
  checkCpus(limits, onlineCpus);
}

function checkCpus({ cpusetCpus }: LimitsRequest, online: readonly number[]): void {
  if (cpusetCpus === undefined) return;
  const absent = (parseCpuList(cpusetCpus) ?? []).filter((number) => !online.includes(number));
  if (absent.length > 0) throw notAllowed(absent, online);
}

function notAllowed(absent: readonly number[], available: readonly number[]): DugoutError {
  return new DugoutError(
    "FLAG_INVALID",
    `Requested CPUs are not available - requested ${absent.join(",")}, available: ${available.join(",")}`,
  );
}

/** The place, as far as it fits what was asked for as a parent. */
function parentProblem(place: Place, parent: string | undefined): Place {
  if (parent === undefined || place.kind !== "systemd" || parent.endsWith(".slice")) return place;
  return { kind: "none", reason: `a manager of systemd takes a slice, such as work.slice, and not "${parent}"` };
}

function parentError(parent: string, reason: string): DugoutError {
  return new DugoutError("LIMIT_IMPOSSIBLE", `Cannot use --cgroup-parent ${quote(parent)}: ${reason}`);
}

const NO_PLACE_HINT =
  "'dugout check' says what to ask an administrator for; --limits=best-effort runs without the limit; " +
  "--ulimit limits each process";

function impossible({ what, controller }: GroupSetting, place: Place): DugoutError {
  if (place.kind !== "none") return missingControllerError(what, controller, CONTROLLERS);
  return new DugoutError("LIMIT_IMPOSSIBLE", `Cannot limit ${what}: ${place.reason}`, { hint: NO_PLACE_HINT });
}

function isOlderThan([major, minor]: LimitFacts["kernel"], thanMajor: number, thanMinor: number): boolean {
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
}

/** The kernel refuses a smaller one (pid_max of a pid namespace, Linux 6.14). */
const LEAST_PID_MAX = 301;

/** The largest pid and one, for so many processes; undefined where the kernel has none for each namespace, or it would be too small. */
function pidMaxFor({ pid }: RunRequest, limit: string, [major, minor]: LimitFacts["kernel"]): string | undefined {
  const has = major > 6 || (major === 6 && minor >= 14);
  const most = Number(limit) + 1;
  return has && pid.kind === "private" && most >= LEAST_PID_MAX ? String(most) : undefined;
}
