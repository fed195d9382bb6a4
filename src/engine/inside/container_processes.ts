/**
 * The processes of a container, as this machine sees them: those in its mount namespace, which no other container has, and
 * what they have started.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { openProcess } from "../record/exec_target.ts";
import type { ContainerState } from "../record/container_state.ts";

/** A process: what /proc/PID/stat says of it (proc(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Major and minor of its terminal; 0: none. */
  readonly terminal: number;
  /** In clock ticks: spent in user mode and in the kernel. */
  readonly spentTicks: number;
  readonly threads: number;
  /** In clock ticks since boot. */
  readonly startTicks: number;
  readonly name: string;
}

/** Clock ticks a second: what Linux tells programs on both architectures (USER_HZ). */
export const TICKS_A_SECOND = 100;

/** Finds the processes of a container, by their pids in order. @param hasReaper Whether process 1 is ours: `--init`. */
export function listProcesses(state: ContainerState, hasReaper: boolean): ProcessStat[] {
  const root = readMountNamespace(openProcess(state.pid, hasReaper) ?? state.pid);
  const all = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).flatMap((name) =>
    readStat(Number(name)) ?? []
  );
  const found = new Set<number>();
  for (const { pid } of all) {
    if (pid === state.pid || (root !== undefined && readMountNamespace(pid) === root)) found.add(pid);
  }
  // a parent may have a larger number than its child: until nothing is added any more
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const { pid, parent } of all) if (found.has(parent)) found.add(pid);
  }
  return all.filter(({ pid }) => found.has(pid)).sort((a, b) => a.pid - b.pid);
}

/** undefined where it is not ours to see, or gone. */
function readMountNamespace(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // the name, in parentheses, may hold anything
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const number = (field: number): number => Number(fields[field - 3]);
  return {
    pid,
    parent: number(4),
    terminal: number(7),
    spentTicks: number(14) + number(15),
    threads: number(20),
    startTicks: number(22),
    name: text.slice(text.indexOf("(") + 1, end),
  };
}
