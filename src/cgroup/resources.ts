/**
 * From limits as the runtime specification has them to what is written into the files of a group. Pure.
 *
 * @module
 */
import type { ResourcesSpec } from "#oci/runtime_spec.ts";

/** What is written where. */
export interface GroupSetting {
  /** Without it there is no such file. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** What is limited, in words. */
  readonly what: string;
  /** Whether it was not asked for, but goes with what was: a kernel without it does without. */
  readonly isImplied?: boolean;
}

/**
 * The settings of a group, in the order in which they are written.
 * @throws {RangeError} For what control groups of version 2 have not: swappiness, and an out-of-memory killer that is turned off.
 */
export function planSettings(resources: ResourcesSpec): GroupSetting[] {
  return [
    ...memorySettings(resources.memory),
    ...processorSettings(resources.cpu),
    ...(resources.pids === undefined ? [] : [{
      controller: "pids",
      file: "pids.max",
      value: countOrMax(resources.pids.limit),
      what: "processes",
    }]),
    ...blockSettings(resources.blockIO),
    ...(resources.hugepageLimits ?? []).map(({ pageSize, limit }) => ({
      controller: "hugetlb",
      file: `hugetlb.${pageSizeName(pageSize)}.max`,
      value: String(limit),
      what: `huge pages of ${pageSize}`,
    })),
    ...unifiedSettings(resources.unified),
  ];
}

/** 0 and below are none: as runc has it for processes, and -1 everywhere. */
function countOrMax(count: number): string {
  return count > 0 ? String(count) : "max";
}

/** Bytes; -1 is no limit. */
function bytesOrMax(bytes: number): string {
  return bytes < 0 ? "max" : String(bytes);
}

function memorySettings(memory: ResourcesSpec["memory"]): GroupSetting[] {
  if (memory === undefined) return [];
  const { limit, reservation, swap, swappiness, disableOOMKiller } = memory;
  if (swappiness !== undefined) throw new RangeError("Control groups of version 2 have no swappiness of their own");
  if (disableOOMKiller) throw new RangeError("Control groups of version 2 cannot turn the out-of-memory killer off");
  const settings: GroupSetting[] = [];
  const add = (file: string, value: string, what: string) =>
    void settings.push({ controller: "memory", file, value, what });
  if (limit !== undefined) add("memory.max", bytesOrMax(limit), "memory");
  if (swap !== undefined) add("memory.swap.max", swapMax(limit, swap), "swap");
  // the kernel takes it as the limit above which memory is taken back: what docker calls a soft limit
  if (reservation !== undefined) add("memory.high", bytesOrMax(reservation), "memory (reservation)");
  return settings;
}

/** Memory and swap are one number in the specification, and two in the kernel. */
function swapMax(limit: number | undefined, swap: number): string {
  if (swap < 0) return "max";
  if (limit === undefined || limit < 0) throw new RangeError("A limit of swap needs one of memory");
  if (swap < limit) throw new RangeError("The limit of memory and swap together is below that of memory");
  return String(swap - limit);
}

function processorSettings(cpu: ResourcesSpec["cpu"]): GroupSetting[] {
  if (cpu === undefined) return [];
  const { shares, quota, period, cpus, mems, idle, burst } = cpu;
  const settings: GroupSetting[] = [];
  const add = (controller: string, file: string, value: string, what: string) =>
    void settings.push({ controller, file, value, what });
  if (shares !== undefined && shares > 0) add("cpu", "cpu.weight", String(weightOfShares(shares)), "processor time");
  if (quota !== undefined || period !== undefined) {
    const most = quota === undefined || quota <= 0 ? "max" : String(quota);
    add("cpu", "cpu.max", `${most} ${period ?? DEFAULT_PERIOD}`, "processor time");
  }
  if (burst !== undefined) add("cpu", "cpu.max.burst", String(burst), "bursts of processor time");
  if (idle !== undefined) add("cpu", "cpu.idle", String(idle), "idle scheduling");
  if (cpus !== undefined && cpus !== "") add("cpuset", "cpuset.cpus", cpus, "processors");
  if (mems !== undefined && mems !== "") add("cpuset", "cpuset.mems", mems, "memory nodes");
  return settings;
}

/** Microseconds: the kernel's own. */
export const DEFAULT_PERIOD = 100_000;

/** Shares of version 1, 2 to 262144, as a weight of version 2, 1 to 10000: runc's and crun's line through both ends. */
export function weightOfShares(shares: number): number {
  const within = Math.min(Math.max(shares, 2), 262_144);
  return 1 + Math.floor((within - 2) * 9999 / 262_142);
}

/** A weight for disks of version 1, 10 to 1000, as one of version 2, 1 to 10000. */
export function weightOfBlocks(weight: number): number {
  return 1 + Math.floor((Math.min(Math.max(weight, 10), 1000) - 10) * 9999 / 990);
}

function blockSettings(blockIO: ResourcesSpec["blockIO"]): GroupSetting[] {
  if (blockIO === undefined) return [];
  const settings: GroupSetting[] = [];
  const add = (file: string, value: string, what: string) =>
    void settings.push({ controller: "io", file, value, what });
  const { weight, weightDevice = [] } = blockIO;
  if (weight !== undefined && weight > 0) add("io.weight", `default ${weightOfBlocks(weight)}`, "disks by weight");
  for (const { major, minor, weight } of weightDevice) {
    add("io.weight", `${major}:${minor} ${weightOfBlocks(weight)}`, "disks by weight");
  }
  const throttles = [
    ["rbps", blockIO.throttleReadBpsDevice],
    ["wbps", blockIO.throttleWriteBpsDevice],
    ["riops", blockIO.throttleReadIOPSDevice],
    ["wiops", blockIO.throttleWriteIOPSDevice],
  ] as const;
  for (const [key, devices = []] of throttles) {
    for (const { major, minor, rate } of devices) {
      add("io.max", `${major}:${minor} ${key}=${rate > 0 ? rate : "max"}`, "disks by rate");
    }
  }
  return settings;
}

/** `2MB` is the file `hugetlb.2MB.max`. */
function pageSizeName(size: string): string {
  if (!/^[1-9][0-9]{0,5}[KMG]B$/.test(size)) throw new RangeError(`No size of huge pages: ${size}`);
  return size;
}

/** Files by name: those of a controller, never the group's own, by which it could be left or given away. */
function unifiedSettings(unified: ResourcesSpec["unified"]): GroupSetting[] {
  return Array.from(unified ?? [], ([file, value]) => {
    const controller = /^([a-z]+)(?:\.[A-Za-z0-9_]{1,32}){1,4}$/.exec(file)?.[1];
    if (controller === undefined || controller === "cgroup") throw new RangeError(`No file of a controller: ${file}`);
    if (!/^[\x20-\x7e\n]{0,4096}$/.test(value)) throw new RangeError(`No value for ${file}`);
    return { controller, file, value, what: file };
  });
}
