/**
 * What a container uses: by its control group, where it has one of its own; else, and where a controller is missing, as far as its
 * processes tell.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { findGroup } from "#cgroup/find_group.ts";
import { type GroupUsage, readGroupUsage } from "#cgroup/group_usage.ts";
import { listProcesses, type ProcessStat, TICKS_A_SECOND } from "./container_processes.ts";
import { differingNamespaces, openProcess } from "../record/exec_target.ts";
import type { ContainerState } from "../record/container_state.ts";

/** A look at a container. Bytes; undefined where this machine does not tell. */
export interface UsageSample {
  /** When it was taken, for the time between two. */
  readonly atMs: number;
  /** Of each process: a process that has ended takes its time with it. */
  readonly spentTicks: ReadonlyMap<number, number>;
  /** Of all together, those that have ended too: by the control group. */
  readonly spentMicroseconds: number | undefined;
  readonly memoryBytes: number;
  /** Undefined: the machine's. */
  readonly memoryLimitBytes: number | undefined;
  readonly receivedBytes: number | undefined;
  readonly sentBytes: number | undefined;
  readonly readBytes: number | undefined;
  readonly writtenBytes: number | undefined;
  /** Per cent of the last ten seconds in which some process waited; undefined without a control group. */
  readonly pressure: GroupUsage["pressure"] | undefined;
  /** Threads count, as in a control group. */
  readonly tasks: number;
}

/** Looks at a container. @param hasReaper Whether process 1 is ours: `--init`. */
export function sampleUsage(state: ContainerState, hasReaper: boolean): UsageSample {
  const group = findGroup(state.id, state.pid);
  const usage = group === undefined ? undefined : readGroupUsage(group.path);
  const processes = listProcesses(state, hasReaper);
  const network = readNetwork(openProcess(state.pid, hasReaper) ?? state.pid);
  const blocks = usage?.readBytes === undefined ? processes.map(({ pid }) => readBlocks(pid)) : [];
  const sum = (read: (block: Blocks) => number): number | undefined => {
    const known = blocks.filter((block) => block !== undefined);
    return known.length === 0 ? undefined : known.reduce((total, block) => total + read(block), 0);
  };
  return {
    atMs: performance.now(),
    spentTicks: new Map(processes.map(({ pid, spentTicks }) => [pid, spentTicks])),
    spentMicroseconds: usage?.spentMicroseconds,
    memoryBytes: usage?.memoryBytes ?? processes.reduce((total, process) => total + readMemory(process), 0),
    memoryLimitBytes: usage?.memoryLimitBytes,
    pressure: usage?.pressure,
    receivedBytes: network?.received,
    sentBytes: network?.sent,
    readBytes: usage?.readBytes ?? sum(({ read }) => read),
    writtenBytes: usage?.writtenBytes ?? sum(({ written }) => written),
    tasks: usage?.tasks ?? processes.reduce((total, { threads }) => total + threads, 0),
  };
}

/** Per cent of one processor between two looks: 200 is two of them. */
export function processorPercent(before: UsageSample, after: UsageSample): number {
  const seconds = (after.atMs - before.atMs) / 1000;
  if (before.spentMicroseconds !== undefined && after.spentMicroseconds !== undefined) {
    const spent = Math.max(0, after.spentMicroseconds - before.spentMicroseconds);
    return seconds <= 0 ? 0 : spent / 1e6 / seconds * 100;
  }
  let ticks = 0;
  for (const [pid, spent] of after.spentTicks) ticks += Math.max(0, spent - (before.spentTicks.get(pid) ?? 0));
  return seconds <= 0 ? 0 : ticks / TICKS_A_SECOND / seconds * 100;
}

/** All memory of the machine. */
export function machineMemoryBytes(): number {
  return Number(/^MemTotal: +([0-9]+) kB/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1] ?? 0) * 1024;
}

/** The process's share of what it shares with others, or, where that is not told, all of it. */
function readMemory({ pid }: ProcessStat): number {
  for (
    const [file, pattern] of [["smaps_rollup", /^Pss: +([0-9]+) kB/m], ["status", /^VmRSS:\t *([0-9]+) kB/m]] as const
  ) {
    const found = pattern.exec(readQuietly(`/proc/${pid}/${file}`))?.[1];
    if (found !== undefined) return Number(found) * 1024;
  }
  return 0;
}

interface Blocks {
  readonly read: number;
  readonly written: number;
}

function readBlocks(pid: number): Blocks | undefined {
  const text = readQuietly(`/proc/${pid}/io`);
  const read = /^read_bytes: ([0-9]+)/m.exec(text)?.[1];
  const written = /^write_bytes: ([0-9]+)/m.exec(text)?.[1];
  return read === undefined || written === undefined ? undefined : { read: Number(read), written: Number(written) };
}

/** Of a network namespace of the container's own; the machine's is not the container's. */
function readNetwork(pid: number): { received: number; sent: number } | undefined {
  try {
    if (!differingNamespaces(pid).includes("network")) return undefined;
  } catch {
    return undefined;
  }
  const sums = { received: 0, sent: 0 };
  for (const line of readQuietly(`/proc/${pid}/net/dev`).split("\n").slice(2)) {
    const [name = "", counters = ""] = line.split(":");
    if (name.trim() === "lo" || counters === "") continue;
    const numbers = counters.trim().split(/ +/).map(Number);
    sums.received += numbers[0] ?? 0;
    sums.sent += numbers[8] ?? 0;
  }
  return sums;
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    // gone, or not ours to see
    return "";
  }
}
