/**
 * What to say when a file system is full (C-045): which one, how much was needed, how much is free.
 *
 * @module
 */
import { readFileSync, realpathSync, statfsSync } from "node:fs";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { errorCode } from "./private_dir.ts";

/** A size as people read it: `1.5 GB`, decimal units as Docker uses. */
export function formatSize(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${bytes} B` : `${Number(value.toPrecision(value < 1000 ? 3 : 4))} ${units[unit]}`;
}

/** Bytes that the caller may still write to the file system of `path`; Infinity where that cannot be asked. */
export function freeBytes(path: string): number {
  try {
    const { bavail, blocks, bsize } = statfsSync(path);
    // ramfs and some file systems over networks and FUSE do not count
    return blocks === 0 ? Infinity : bavail * bsize;
  } catch {
    return Infinity;
  }
}

/** Tells whether an error of node:fs says that there is no room: the file system is full, or the user's quota is. */
export function isNoSpace(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * The error for content that does not fit.
 * @param path A file or directory on the file system in question.
 * @param neededBytes What was still to be written.
 */
export function noSpaceError(path: string, neededBytes: number, what: string, cause?: unknown): DugoutError {
  const code = errorCode(cause) === "EDQUOT" ? "EDQUOT" : "ENOSPC";
  const free = freeBytes(path);
  const room = code === "EDQUOT"
    ? `the disk quota of user ${process.geteuid!()} on ${quote(mountPointOf(path))} is used up`
    : `the file system ${quote(mountPointOf(path))} is full`;
  const numbers = Number.isFinite(free)
    ? `${formatSize(neededBytes)} more needed, ${formatSize(free)} free`
    : `${formatSize(neededBytes)} more needed`;
  return new DugoutError(code, `Cannot store ${what}: ${room}: ${numbers}`, {
    hint:
      'Free some space ("dugout image prune -a" removes images that no container uses), or choose another place with --root',
    cause,
  });
}

/** The mount point that `path` lies below, as /proc/self/mountinfo has it; the path itself where that cannot be read. */
export function mountPointOf(path: string): string {
  try {
    const real = realpathSync(path);
    let best = "";
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
      // proc_pid_mountinfo(5): the fifth field; space, tab, newline and backslash are octal escapes
      const point = (line.split(" ", 5)[4] ?? "").replace(
        /\\([0-7]{3})/g,
        (_, octal: string) => String.fromCharCode(parseInt(octal, 8)),
      );
      const isAbove = real === point || real.startsWith(point === "/" ? "/" : `${point}/`);
      if (point !== "" && isAbove && point.length >= best.length) best = point;
    }
    return best === "" ? path : best;
  } catch {
    return path;
  }
}
