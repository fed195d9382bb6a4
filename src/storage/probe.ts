/**
 * Which driver works here, found by trying it, once: kernels, file systems, security modules and containers around us differ in
 * too many ways to be asked.
 *
 * @module
 */
import { accessSync, constants, mkdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "#linux/random.ts";
import { AT_FDCWD, close, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY, openAt, S_IFCHR } from "#linux/file.ts";
import { cloneContent, makeNode, openName, writeAt } from "#linux/tree.ts";
import { setXattr } from "#linux/xattr.ts";
import type { Fd } from "#linux/call.ts";
import { DugoutError } from "#oci/error.ts";
import type { Driver, DriverName, LayeredRootfs } from "./driver.ts";
import { formatMark, ownMark } from "./owner_mark.ts";
import { removePath } from "./remove_tree.ts";
import { writeFileWhole } from "./write_file_whole.ts";

/** What the store's file system can hold. */
export type FileSystemTraits = {
  /** overlayfs' whiteouts: a device node 0:0, which plain users may make (Linux 5.8). */
  readonly whiteouts: boolean;
  /** Attributes `user.*`: opaque directories. */
  readonly xattrs: boolean;
  readonly reflinks: boolean;
  /** f_type of statfs(2). */
  readonly type: number;
};

/** What was chosen, and the story of it for `dugout info`. */
export type DriverChoice = {
  readonly driver: Driver;
  readonly reason: string;
  readonly traits: FileSystemTraits;
};

/** How the runtime tries a root file system. */
export type DriverHost = {
  /**
   * Mounts the plan in a user and mount namespace of its own, makes and removes a file in it, and lets everything go.
   * @returns What went wrong, as an error's message; undefined when it worked.
   */
  tryRootfs(plan: LayeredRootfs): string | undefined | Promise<string | undefined>;
};

const FUSE_PLACES = ["/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin"];

/** The program fuse-overlayfs by an absolute path: never by the caller's PATH, since it holds the container's files. */
export function findFuseOverlayfs(): string | undefined {
  for (const place of FUSE_PLACES) {
    const path = `${place}/fuse-overlayfs`;
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch { /* not there */ }
  }
  return undefined;
}

/** Looks what the file system of a directory can hold, by making it. */
export function probeFileSystem(directory: string): FileSystemTraits {
  const path = join(directory, `.probe.${formatMark(ownMark())}.${randomHex(4)}.tmp`);
  mkdirSync(path, { mode: 0o700 });
  try {
    const dir = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    try {
      const whiteouts = makeNode(dir, "whiteout", S_IFCHR, 0) >= 0;
      const xattrs = setXattr(dir, "user.overlay.opaque", new Uint8Array([0x79])) >= 0;
      return { whiteouts, xattrs, reflinks: tryReflink(dir), type: statfsSync(path).type >>> 0 };
    } finally {
      close(dir);
    }
  } finally {
    removePath(path);
  }
}

function tryReflink(dir: Fd): boolean {
  const from = openName(dir, "from", O_WRONLY | O_CREAT | O_EXCL, 0o600) as Fd;
  writeAt(from, new Uint8Array(4096), 0);
  close(from);
  const source = openName(dir, "from", O_RDONLY) as Fd;
  const target = openName(dir, "to", O_WRONLY | O_CREAT | O_EXCL, 0o600) as Fd;
  const result = cloneContent(target, source);
  close(source);
  close(target);
  return result >= 0;
}

/**
 * Chooses the driver: the one that is asked for, if it works; else the first that works of overlay, fuse-overlayfs, vfs.
 * @param root The data directory, where it is tried.
 * @throws {DugoutError} DRIVER_UNFIT when the one that was asked for does not work here, with the reason.
 */
export async function chooseDriver(
  root: string,
  wanted: DriverName | undefined,
  host: DriverHost,
): Promise<DriverChoice> {
  const traits = probeFileSystem(root);
  const problems: string[] = [];
  for (const name of wanted === undefined ? ["overlay", "fuse-overlayfs"] as const : [wanted]) {
    if (name === "vfs") break;
    const found = await tryDriver(root, name, traits, host);
    if (typeof found !== "string") {
      const reason = wanted !== undefined ? "asked for" : ["it works here", ...problems].join("; ");
      return { driver: found, reason, traits };
    }
    problems.push(`${name}: ${found}`);
    if (wanted === undefined) continue;
    throw new DugoutError("DRIVER_UNFIT", `Cannot use the storage driver "${name}" here: ${found}`, {
      hint: "Leave --storage-driver out, and the best one that works is chosen",
    });
  }
  return { driver: { name: "vfs" }, reason: wanted === "vfs" ? "asked for" : problems.join("; "), traits };
}

/** @returns The driver, or why it does not work. */
async function tryDriver(
  root: string,
  name: "overlay" | "fuse-overlayfs",
  traits: FileSystemTraits,
  host: DriverHost,
): Promise<Driver | string> {
  if (!traits.whiteouts) return "the store's file system or this kernel takes no whiteouts (device node 0:0)";
  if (!traits.xattrs) return "the store's file system takes no user attributes";
  const program = name === "overlay" ? "" : findFuseOverlayfs();
  if (program === undefined) return "the program is not installed";
  if (name === "fuse-overlayfs") {
    try {
      accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    } catch {
      return "/dev/fuse may not be opened";
    }
  }
  const path = join(root, `.probe.${formatMark(ownMark())}.${randomHex(4)}.tmp`);
  mkdirSync(path, { mode: 0o700 });
  try {
    const [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map((dir) => join(path, dir));
    for (const dir of [lower, upper, work, merged]) mkdirSync(dir!, { mode: 0o755 });
    const places = { lowers: [lower!], upper: upper!, work: work!, merged: merged! };
    const plan: LayeredRootfs = name === "overlay"
      ? { kind: "overlay", ...places, volatile: false }
      : { kind: "fuse-overlayfs", program, ...places };
    const problem = await host.tryRootfs(plan);
    if (problem !== undefined) return problem;
    return name === "overlay" ? { name } : { name, program };
  } finally {
    removePath(path);
  }
}

/** A directory of this machine whose file system can hold layers as they are, to be named where the store's cannot. */
export function findFitDirectory(candidates: readonly string[]): string | undefined {
  return candidates.find((directory) => {
    try {
      const { whiteouts, xattrs } = probeFileSystem(directory);
      return whiteouts && xattrs;
    } catch {
      return false;
    }
  });
}

/**
 * The choice, remembered in the runtime directory until the machine boots again, the store moves to another file system or
 * another driver is asked for.
 * @param onChosen Told of a choice that was made just now, so that it is said once.
 */
export async function loadDriver(
  root: string,
  runDirectory: string,
  wanted: DriverName | undefined,
  host: DriverHost,
  onChosen: (choice: DriverChoice) => void = () => {},
): Promise<DriverChoice> {
  const file = join(runDirectory, "driver.json");
  const key = driverKey(root, wanted);
  const remembered = readRemembered(file);
  const found = remembered.find((entry) => entry.key === key);
  if (found !== undefined) return found.choice;
  const choice = await chooseDriver(root, wanted, host);
  onChosen(choice);
  try {
    // the last ones are enough: a user has one store, scripts and tests may have more
    writeFileWhole(file, JSON.stringify([...remembered.slice(1 - REMEMBERED_MAX), { key, choice }]));
  } catch { /* a full disk costs only the memory of it */ }
  return choice;
}

const REMEMBERED_MAX = 16;

function readRemembered(file: string): { key: string; choice: DriverChoice }[] {
  try {
    const entries: unknown = JSON.parse(readFileSync(file, "utf8"));
    return Array.isArray(entries) ? entries : [];
  } catch {
    return []; // not there, or half of it: found anew
  }
}

function driverKey(root: string, wanted: DriverName | undefined): string {
  const fuse = findFuseOverlayfs();
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  return JSON.stringify([1, root, statSync(root).dev, wanted ?? "", fuse ?? "", process.geteuid!(), bootId]);
}
