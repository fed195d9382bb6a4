/**
 * Where groups of ours can be: in this order, a scope of systemd's manager, the group that we are in, nowhere.
 *
 * @module
 */
import * as fs from "node:fs";
import {
  ALL_CONTROLLERS,
  CGROUP2_SUPER_MAGIC,
  CGROUP_MOUNT,
  groupText,
  parseProcessGroup,
  parseWords,
} from "#linux/cgroup.ts";
import type { Fd } from "#linux/call.ts";
import { readProcFile } from "#linux/proc.ts";
import { statFileSystem } from "#linux/statfs.ts";
import { getXattr } from "#linux/xattr.ts";
import { withoutLeaf } from "./callers_leaf.ts";
import { connectTo } from "./dbus/connection.ts";
import { BusError } from "./dbus/error.ts";
import { findBusSocket } from "./systemd.ts";

/** What the machine has, as far as groups depend on it. Groups are absolute paths below {@linkcode CGROUP_MOUNT}, without it. */
export interface GroupFacts {
  readonly kind: "v2" | "hybrid" | "v1" | "none";
  readonly uid: number;
  /** The group that we are in. */
  readonly own: string;
  /** Whether we may make groups in it and turn controllers on. */
  readonly ownWritable: boolean;
  /** Whether systemd says that it is ours to divide (Delegate=): its mark on it. */
  readonly ownDelegated: boolean;
  readonly ownControllers: readonly string[];
  /** The socket of the manager's bus, or why there is none. */
  readonly bus: { readonly socket: string } | { readonly problem: string };
  /** What the manager was given; undefined where there is none. */
  readonly managerControllers: readonly string[] | undefined;
  /** The variable by which a batch system names its job. */
  readonly batch: string | undefined;
  /** Whether this process is a unit's own: its manager knows it by the unit's group. */
  readonly isUnit: boolean;
  /** Whether what is in a group namespace is kept from changing its own limits: the mount option nsdelegate. */
  readonly nsdelegate: boolean;
}

/** Where groups of ours are made. */
export type Place =
  | {
    readonly kind: "systemd";
    readonly socket: string;
    readonly controllers: readonly string[];
  }
  | {
    readonly kind: "own";
    /** The group in which ours are made. */
    readonly group: string;
    readonly controllers: readonly string[];
  }
  | { readonly kind: "none"; readonly reason: string };

/** Jobs of these are accounted for by their group: what belongs to one must not leave it. */
export const BATCH_VARIABLES = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"] as const;

/** Chooses the place. Pure. */
export function choosePlace(facts: GroupFacts): Place {
  const { kind, bus, batch } = facts;
  if (kind !== "v2") {
    const has = kind === "none"
      ? "no control groups are mounted"
      : kind === "hybrid"
      ? "this machine's controllers belong to version 1 of control groups (hybrid)"
      : "this machine has control groups of version 1";
    return { kind: "none", reason: `${has}, which cannot be given to users` };
  }
  const { ownWritable, own, ownControllers } = facts;
  const ownPlace: Place | undefined = ownWritable
    ? { kind: "own", group: own, controllers: ownControllers }
    : undefined;
  // a unit or a job that is ours to divide is where its processes have to stay
  if (ownPlace !== undefined && facts.ownDelegated) return ownPlace;
  if (facts.isUnit) {
    return ownPlace ?? { kind: "none", reason: `the unit's control group ${own} is not ours to divide` };
  }
  if (batch !== undefined) {
    return ownPlace ?? {
      kind: "none",
      reason: `the job's control group ${own} is not ours to divide (${batch} is set, and a job must not leave it)`,
    };
  }
  if ("socket" in bus) {
    return { kind: "systemd", socket: bus.socket, controllers: facts.managerControllers ?? [] };
  }
  return ownPlace ?? {
    kind: "none",
    reason: `our control group ${own} is not ours to divide, and ${bus.problem}`,
  };
}

/** What is asked of an administrator for each place that lacks controllers. */
export function missingControllers(place: Place, wanted: readonly string[]): string[] {
  return place.kind === "none" ? [...wanted] : wanted.filter((name) => !place.controllers.includes(name));
}

/** The text of a drop-in that gives a user's manager these controllers (systemd.resource-control(5)). */
export function delegationDropIn(controllers: readonly string[]): string {
  return `[Service]\nDelegate=${controllers.join(" ")}\n`;
}

/** Where that is saved. */
export const DROP_IN_PATH = "/etc/systemd/system/user@.service.d/delegate.conf";

/** The paths that facts are read from: for tests. */
export interface GroupRoots {
  readonly mount: string;
  readonly runDirectories: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

/** The machine's. */
export function machineRoots(): GroupRoots {
  return { mount: CGROUP_MOUNT, runDirectories: "/run/user", env: process.env, uid: process.geteuid!() };
}

/** Looks at the machine. */
export function readGroupFacts({ mount, runDirectories, env, uid }: GroupRoots = machineRoots()): GroupFacts {
  const kind = mountKind(mount);
  const batch = BATCH_VARIABLES.find((name) => (env[name] ?? "") !== "");
  const nothing = {
    kind,
    uid,
    batch,
    own: "/",
    ownWritable: false,
    ownDelegated: false,
    ownControllers: [],
    managerControllers: undefined,
    nsdelegate: false,
    // systemd.exec(5); the second since systemd 248
    isUnit: (env["NOTIFY_SOCKET"] ?? "") !== "" || env["SYSTEMD_EXEC_PID"] === String(process.pid),
  };
  if (kind !== "v2") return { ...nothing, bus: { problem: "control groups of version 2 are not in use" } };
  const found = parseProcessGroup(readProcFile("/proc/self/cgroup") ?? "");
  const own = found === undefined ? undefined : withoutLeaf(found);
  const folder = own === undefined ? undefined : join(mount, own);
  const manager = uid === 0 ? "/" : `/user.slice/user-${uid}.slice/user@${uid}.service`;
  return {
    ...nothing,
    own: own ?? "/",
    ownWritable: folder !== undefined &&
      ["", "cgroup.procs", "cgroup.subtree_control"].every((name) => canWrite(join(folder, name))),
    ownDelegated: folder !== undefined && isDelegated(folder),
    ownControllers: folder === undefined ? [] : readControllers(folder),
    bus: lookForBus(uid, runDirectories),
    managerControllers: fs.existsSync(join(mount, manager)) ? readControllers(join(mount, manager)) : undefined,
    nsdelegate: hasNsdelegate(readWhole("/proc/self/mountinfo"), mount),
  };
}

function join(mount: string, group: string): string {
  return `${mount}/${group}`.replace(/\/{2,}/g, "/").replace(/(.)\/$/, "$1");
}

function mountKind(mount: string): GroupFacts["kind"] {
  if (fileSystemType(mount) === CGROUP2_SUPER_MAGIC) return "v2";
  if (fileSystemType(`${mount}/unified`) === CGROUP2_SUPER_MAGIC) return "hybrid";
  return fs.existsSync(`${mount}/memory`) || fs.existsSync(`${mount}/cpu`) ? "v1" : "none";
}

function fileSystemType(path: string): number | undefined {
  try {
    return statFileSystem(path).type;
  } catch {
    return undefined;
  }
}

function readControllers(folder: string): string[] {
  const known: readonly string[] = ALL_CONTROLLERS;
  return parseWords(groupText(folder, "cgroup.controllers") ?? "").filter((name) => known.includes(name));
}

function readWhole(path: string): string {
  try {
    return fs.readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function canWrite(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** systemd marks what it has given away: for programs such as this one (systemd 251; `trusted.delegate` is for root alone). */
function isDelegated(folder: string): boolean {
  let fd: number;
  try {
    fd = fs.openSync(folder, "r");
  } catch {
    return false;
  }
  try {
    const mark = getXattr(fd as Fd, "user.delegate");
    return typeof mark !== "number" && new TextDecoder().decode(mark).trim() === "1";
  } finally {
    fs.closeSync(fd);
  }
}

function lookForBus(uid: number, runDirectories: string): GroupFacts["bus"] {
  try {
    const socket = findBusSocket(uid, runDirectories);
    // a socket that nobody listens at may have been left
    connectTo(socket, uid)[Symbol.dispose]();
    return { socket };
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    return { problem: error.message };
  }
}

/** proc(5), mountinfo: the options of the file system stand behind the dash. */
export function hasNsdelegate(mountinfo: string, mount: string): boolean {
  return mountinfo.split("\n").some((line) => {
    const [before = "", after = ""] = line.split(" - ");
    return before.split(" ")[4] === mount && (after.split(" ")[2] ?? "").split(",").includes("nsdelegate");
  });
}
