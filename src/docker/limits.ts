/**
 * Limits: `--memory`, `--cpus`, `--pids-limit` and their kin, in Docker's grammar and with Docker's rules. What depends on the
 * machine (how many processors there are, whether a path is a disk) is looked at where it is used.
 *
 * @module
 */
import { parseCpuList } from "#linux/cgroup.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { flagConflict, flagError } from "./flag_error.ts";
import type { DeviceAmount, LimitsRequest } from "./run_request.ts";
import { parseSize } from "./size.ts";
import { parseInteger } from "./text_rules.ts";

const MEBIBYTE = 1 << 20;
/** Docker's: less than this, and nothing starts. */
const LEAST_MEMORY = 6 * MEBIBYTE;
const MOST = Number.MAX_SAFE_INTEGER;

/** Nothing is limited. A new object each time. */
export function newLimits(): LimitsRequest {
  return {
    mode: "enforced",
    memoryBytes: undefined,
    memoryReservationBytes: undefined,
    memorySwapBytes: undefined,
    nanoCpus: undefined,
    cpuShares: undefined,
    cpuPeriod: undefined,
    cpuQuota: undefined,
    cpusetCpus: undefined,
    cpusetMems: undefined,
    pidsLimit: undefined,
    blkioWeight: undefined,
    blkioWeightDevices: [],
    deviceReadBps: [],
    deviceWriteBps: [],
    deviceReadIops: [],
    deviceWriteIops: [],
    cgroupParent: undefined,
  };
}

/** Reads one value of a flag into limits. */
export type LimitReader = (limits: LimitsRequest, value: string, flag: string) => void;

/** Whole numbers within bounds; 0 and nothing are "not set". */
function count(
  key: "cpuShares" | "cpuPeriod" | "cpuQuota" | "pidsLimit" | "blkioWeight",
  least: number,
  most: number,
  what: string,
): LimitReader {
  return (limits, value, flag) => {
    const number = value === "" ? 0 : parseInteger(value, -1, MOST);
    if (number === undefined || (number !== 0 && number !== least && (number < Math.max(least, 1) || number > most))) {
      throw flagError(flag, value, what);
    }
    limits[key] = number === 0 ? undefined : number;
  };
}

function bytes(key: "memoryBytes" | "memoryReservationBytes"): LimitReader {
  return (limits, value, flag) => {
    const number = value === "" ? 0 : parseSize(value);
    if (number === undefined) throw flagError(flag, value, "it is no size such as 64m or 1g");
    limits[key] = number === 0 ? undefined : number;
  };
}

function list(key: "cpusetCpus" | "cpusetMems", what: string): LimitReader {
  return (limits, value, flag) => {
    if (value !== "" && parseCpuList(value) === undefined) {
      throw flagError(flag, value, `it is no list of ${what} such as 0-2,7`);
    }
    limits[key] = value === "" ? undefined : value;
  };
}

type Rates = "deviceReadBps" | "deviceWriteBps" | "deviceReadIops" | "deviceWriteIops";

/** `DEVICE:RATE`; a device given again has the later rate. */
function rate(key: Rates): LimitReader {
  return (limits, value, flag) => {
    const isBytes = key.endsWith("Bps");
    const [path, amount] = splitDevice(value, flag, "RATE");
    const number = isBytes ? parseSize(amount) : parseInteger(amount, 0, MOST);
    if (number === undefined) {
      throw flagError(flag, value, isBytes ? "the rate is bytes a second, such as 1mb" : "the rate is a number");
    }
    limits[key] = withDevice(limits[key], { path, amount: number });
  };
}

function splitDevice(value: string, flag: string, what: string): [path: string, amount: string] {
  const at = value.lastIndexOf(":");
  const path = value.slice(0, Math.max(0, at));
  if (at < 0 || !path.startsWith("/dev/") || path.includes("\0")) {
    throw flagError(flag, value, `it is DEVICE:${what}, with a path below /dev`);
  }
  return [path, value.slice(at + 1)];
}

function withDevice(devices: readonly DeviceAmount[], added: DeviceAmount): DeviceAmount[] {
  return [...devices.filter(({ path }) => path !== added.path), added];
}

/** Docker's `--cpus`: a decimal of up to nine places, in billionths of a processor. */
export function parseNanoCpus(text: string): number | undefined {
  const [, whole, places = ""] = /^([0-9]{0,5})(?:\.([0-9]{0,9}))?$/.exec(text) ?? [];
  if (whole === undefined || whole + places === "") return undefined;
  return Number(whole || "0") * 1e9 + Number(places.padEnd(9, "0"));
}

/** Flag, without dashes, → how it is read. `run`, `create` and `update` have them. */
export const LIMIT_READERS: ReadonlyMap<string, LimitReader> = new Map<string, LimitReader>([
  ["memory", bytes("memoryBytes")],
  ["memory-reservation", bytes("memoryReservationBytes")],
  ["memory-swap", (limits, value, flag) => {
    const number = value === "" ? 0 : value === "-1" ? -1 : parseSize(value);
    if (number === undefined) {
      throw flagError(flag, value, "it is a size such as 128m, memory and swap together, or -1");
    }
    limits.memorySwapBytes = number === 0 ? undefined : number;
  }],
  ["cpus", (limits, value, flag) => {
    const number = value === "" ? 0 : parseNanoCpus(value);
    if (number === undefined) {
      throw flagError(flag, value, "it is a number of processors such as 1.5, with nine places at most");
    }
    limits.nanoCpus = number === 0 ? undefined : number;
  }],
  ["cpu-shares", count("cpuShares", 2, 262_144, "it is a weight from 2 to 262144; 1024 is usual")],
  ["cpu-period", count("cpuPeriod", 1000, 1_000_000, "it is 1000 to 1000000 microseconds")],
  ["cpu-quota", count("cpuQuota", -1, MOST, "it is a number of microseconds, 1000 at least, or -1")],
  ["cpuset-cpus", list("cpusetCpus", "processors")],
  ["cpuset-mems", list("cpusetMems", "memory nodes")],
  ["pids-limit", count("pidsLimit", -1, 4_194_304, "it is a number of processes, or -1")],
  ["blkio-weight", count("blkioWeight", 10, 1000, "it is a weight from 10 to 1000")],
  ["blkio-weight-device", (limits, value, flag) => {
    const [path, text] = splitDevice(value, flag, "WEIGHT");
    const amount = parseInteger(text, 10, 1000);
    if (amount === undefined) throw flagError(flag, value, "the weight is from 10 to 1000");
    limits.blkioWeightDevices = withDevice(limits.blkioWeightDevices, { path, amount });
  }],
  ["device-read-bps", rate("deviceReadBps")],
  ["device-write-bps", rate("deviceWriteBps")],
  ["device-read-iops", rate("deviceReadIops")],
  ["device-write-iops", rate("deviceWriteIops")],
]);

/** Those of {@linkcode LIMIT_READERS}, and what goes with them, that `run` and `create` have alone. */
export const RUN_LIMIT_READERS: ReadonlyMap<string, LimitReader> = new Map<string, LimitReader>([
  ...LIMIT_READERS,
  ["cgroup-parent", (limits, value, flag) => {
    limits.cgroupParent = value === "" ? undefined : checkParent(value, flag);
  }],
  ["limits", (limits, value, flag) => {
    if (value !== "enforced" && value !== "best-effort") throw flagError(flag, value, "it is enforced or best-effort");
    limits.mode = value;
  }],
]);

/**
 * A group below which the container's is made: a slice of the user's manager (`work.slice`), or a path below the group that is
 * ours to divide. Never one above it.
 */
function checkParent(value: string, flag: string): string {
  if (/^[A-Za-z0-9:_.-]{1,200}\.slice$/.test(value) && !value.startsWith("-") && !value.includes("..")) return value;
  const parts = value.split("/").filter((part) => part !== "");
  if (parts.length > 0 && parts.length <= 16 && parts.every(isGroupName)) return parts.join("/");
  throw flagError(
    flag,
    value,
    "it is a slice of your manager, such as work.slice, or a path of plain names below our own group",
  );
}

function isGroupName(part: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$/.test(part) && !/^(?:cgroup|memory|cpu|cpuset|io|pids)\./.test(part);
}

/**
 * Reads flags that change limits. What means unset changes nothing, as with docker.
 * @param flags By their long names without dashes; those of other things are passed over.
 * @throws {DugoutError} FLAG_INVALID.
 */
export function readLimitChanges(
  flags: ReadonlyMap<string, boolean | string | readonly string[]>,
): Partial<LimitsRequest> {
  const read = newLimits();
  for (const [flag, value] of flags) {
    const reader = LIMIT_READERS.get(flag);
    for (const text of typeof value === "object" ? value : [String(value)]) reader?.(read, text, `--${flag}`);
  }
  const changes = Object.entries(read).filter(([key, value]) =>
    key !== "mode" && (typeof value === "object" ? value.length > 0 : value !== undefined)
  );
  return Object.fromEntries(changes);
}

/** Limits with changes: of devices, those that are named. */
export function changeLimits(limits: LimitsRequest, changes: Partial<LimitsRequest>): LimitsRequest {
  const merged = { ...limits, ...changes };
  for (
    const key of ["blkioWeightDevices", "deviceReadBps", "deviceWriteBps", "deviceReadIops", "deviceWriteIops"] as const
  ) {
    merged[key] = (changes[key] ?? []).reduce<DeviceAmount[]>(withDevice, limits[key]);
  }
  return merged;
}

/**
 * What must agree between limits: Docker's rules and words.
 * @throws {DugoutError} FLAG_CONFLICT.
 */
export function checkLimits(limits: LimitsRequest): void {
  const { memoryBytes, memoryReservationBytes, memorySwapBytes, nanoCpus, cpuPeriod, cpuQuota } = limits;
  if (memoryBytes !== undefined && memoryBytes < LEAST_MEMORY) {
    throw flagConflict("Minimum memory limit allowed is 6MB");
  }
  if (memorySwapBytes !== undefined && memorySwapBytes > 0) {
    if (memoryBytes === undefined) {
      throw flagConflict("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if (memorySwapBytes < memoryBytes) {
      throw flagConflict("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
  }
  if (memoryReservationBytes !== undefined) {
    if (memoryReservationBytes < LEAST_MEMORY) throw flagConflict("Minimum memory reservation allowed is 6MB");
    if (memoryBytes !== undefined && memoryBytes < memoryReservationBytes) {
      throw flagConflict("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
  }
  if (nanoCpus !== undefined && cpuPeriod !== undefined) {
    throw flagConflict("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  }
  if (nanoCpus !== undefined && cpuQuota !== undefined) {
    throw flagConflict("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  }
  if (cpuQuota !== undefined && cpuQuota !== -1 && cpuQuota < 1000) {
    throw flagConflict("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  }
}

/**
 * Refuses more processors than there are.
 * @param processors How many the caller may use.
 */
export function checkProcessors({ nanoCpus }: LimitsRequest, processors: number): void {
  if (nanoCpus === undefined || (nanoCpus >= 1e7 && nanoCpus <= processors * 1e9)) return;
  throw new DugoutError(
    "FLAG_INVALID",
    `range of CPUs is from 0.01 to ${processors}.00, as there are only ${processors} CPUs available: ${
      quote(String(nanoCpus / 1e9))
    }`,
  );
}
