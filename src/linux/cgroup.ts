/**
 * Control groups of version 2: the names of their files and what stands in them (Documentation/admin-guide/cgroup-v2.rst). A
 * group is a directory; files are read and written in one piece.
 *
 * @module
 */
import { addressOf, allocate, cString } from "#ffi/mod.ts";
import { type Fd, tryCall } from "./call.ts";
import { errnoName, OsError } from "./errno.ts";
import { AT_FDCWD, close, O_CLOEXEC, O_RDONLY, O_WRONLY } from "./file.ts";

/** Where the tree is mounted, by convention of all distributions. */
export const CGROUP_MOUNT = "/sys/fs/cgroup";
/** Its magic number: linux/magic.h. */
export const CGROUP2_SUPER_MAGIC = 0x63677270;

/** The controllers that limits of ours need. */
export const CONTROLLERS = ["cpu", "cpuset", "io", "memory", "pids"] as const;
/** Those, and the one of huge pages, which only few machines have use for. */
export const ALL_CONTROLLERS = [...CONTROLLERS, "hugetlb"] as const;

/** The kernel's files are mostly lines; `io.stat` and `cgroup.procs` can be longer. */
const MOST_BYTES = 1 << 20;

/** Reads a file of a group. @returns Its text, or minus errno. */
export function readGroupFile(group: string, name: string): string | number {
  const path = cString(`${group}/${name}`);
  const fd = tryCall("openat", AT_FDCWD, addressOf(path), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  try {
    const pieces: string[] = [];
    const bytes = allocate(16384);
    for (let total = 0; total < MOST_BYTES;) {
      const count = tryCall("read", fd, addressOf(bytes), bytes.length);
      if (count < 0) return count;
      if (count === 0) break;
      pieces.push(new TextDecoder("latin1").decode(bytes.subarray(0, count)));
      total += count;
    }
    return pieces.join("");
  } finally {
    close(fd as Fd);
  }
}

/** The text of a file of a group; undefined where it cannot be read. */
export function groupText(group: string, name: string): string | undefined {
  const text = readGroupFile(group, name);
  return typeof text === "string" ? text : undefined;
}

/** Writes a value into a file of a group, with one write(2), as the kernel wants it. @returns 0, or minus errno. */
export function tryWriteGroupFile(group: string, name: string, value: string): number {
  const path = cString(`${group}/${name}`);
  const fd = tryCall("openat", AT_FDCWD, addressOf(path), O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  try {
    const bytes = cString(value);
    const written = tryCall("write", fd, addressOf(bytes), bytes.length - 1);
    return Math.min(0, written);
  } finally {
    close(fd as Fd);
  }
}

/** The same. @throws {OsError} When the kernel refuses. */
export function writeGroupFile(group: string, name: string, value: string, hint?: string): void {
  const result = tryWriteGroupFile(group, name, value);
  if (result === 0) return;
  throw new OsError({
    call: `write ${value}`,
    object: `${group}/${name}`,
    code: errnoName(-result),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** mkdir(2). @returns 0, or minus errno. */
export function tryMakeGroup(group: string): number {
  const path = cString(group);
  return tryCall("mkdirat", AT_FDCWD, addressOf(path), 0o755);
}

/** Words with blanks between them: `cgroup.controllers`, `cgroup.subtree_control`. */
export function parseWords(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

/** Numbers by name, one a line: `memory.events`, `cpu.stat`, `cgroup.events`. What is not so is passed over. */
export function parseFlatKeyed(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, key, value] = /^([a-z0-9_.]+) ([0-9]{1,20})$/.exec(line) ?? [];
    if (key !== undefined) found.set(key, Number(value));
  }
  return found;
}

/** A device and numbers by name, one device a line: `io.stat`, `io.max`. */
export function parseNestedKeyed(text: string): Map<string, Map<string, number>> {
  const found = new Map<string, Map<string, number>>();
  for (const line of text.split("\n")) {
    const [device = "", ...pairs] = line.split(" ");
    if (!/^[0-9]+:[0-9]+$/.test(device)) continue;
    const numbers = pairs.flatMap((pair): [string, number][] => {
      const [, key, value] = /^([a-z]+)=([0-9]{1,20})$/.exec(pair) ?? [];
      return key === undefined ? [] : [[key, Number(value)]];
    });
    found.set(device, new Map(numbers));
  }
  return found;
}

/** One limit: a number, or undefined for `max`. */
export function parseLimit(text: string | undefined): number | undefined {
  const value = text?.trim() ?? "max";
  return /^[0-9]{1,20}$/.test(value) ? Number(value) : undefined;
}

/** How much was waited for something: a line of `memory.pressure` and its like (Documentation/accounting/psi.rst). */
export interface Pressure {
  /** Per cent of the time, over the last 10, 60 and 300 seconds. */
  readonly average10: number;
  readonly average60: number;
  readonly average300: number;
  readonly totalMicroseconds: number;
}

/** Pressure stall information: `some` of the processes waited, or `full`: all of them. */
export function parsePressure(text: string): { some?: Pressure; full?: Pressure } {
  const found: { some?: Pressure; full?: Pressure } = {};
  for (const line of text.split("\n")) {
    const match = /^(some|full) avg10=([0-9.]+) avg60=([0-9.]+) avg300=([0-9.]+) total=([0-9]{1,20})$/.exec(line);
    if (match === null) continue;
    const [, kind, ten, sixty, most, total] = match;
    found[kind as "some" | "full"] = {
      average10: Number(ten),
      average60: Number(sixty),
      average300: Number(most),
      totalMicroseconds: Number(total),
    };
  }
  return found;
}

/** Numbers and ranges, as `cpuset.cpus` has them: `0-2,7`. @returns undefined where it is none, or too large. */
export function parseCpuList(text: string, most = 8192): number[] | undefined {
  const found = new Set<number>();
  if (text.trim() === "") return [];
  for (const part of text.trim().split(",")) {
    const [, first, last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(part) ?? [];
    if (first === undefined || Number(last) < Number(first) || Number(last) >= most) return undefined;
    for (let number = Number(first); number <= Number(last); number++) found.add(number);
  }
  return [...found].sort((a, b) => a - b);
}

/** The group of a process in the unified tree, from the text of /proc/PID/cgroup: an absolute path; undefined without one. */
export function parseProcessGroup(text: string): string | undefined {
  const line = text.split("\n").find((entry) => entry.startsWith("0::/"));
  const path = line?.slice(3).replace(/ \(deleted\)$/, "");
  // a group outside of our namespace is shown as /../…
  return path === undefined || path.split("/").includes("..") ? undefined : path;
}
