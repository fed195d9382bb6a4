/**
 * Who made a file, written into its name, for file systems on which no lock can tell whether its maker is alive.
 *
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hashHex } from "#ffi/mod.ts";
import { machineName } from "#linux/machine.ts";

/** A machine (12 hex digits), a process in it, and when that process started, since pids come back. */
export type OwnerMark = { host: string; pid: number; startTicks: string };

/** This process. */
export function ownMark(): OwnerMark {
  return { host: hostMark(), pid: process.pid, startTicks: startTicks("self") ?? "0" };
}

/** This machine, and the pid namespace that we count pids in. */
export function hostMark(): string {
  const parts = [machineName()];
  for (const read of [() => readFileSync("/etc/machine-id", "latin1"), () => readlinkSync("/proc/self/ns/pid")]) {
    try {
      parts.push(read());
    } catch { /* one fewer to tell machines apart by */ }
  }
  return hashHex("sha256", parts.join("\0")).slice(0, 12);
}

/** The mark as part of a file name: `HOST.PID-TICKS`. */
export function formatMark(mark: OwnerMark): string {
  return `${mark.host}.${mark.pid}-${mark.startTicks}`;
}

/** Finds the mark in a file name that {@linkcode formatMark} helped to make. */
export function findMark(fileName: string): OwnerMark | undefined {
  const match = /\.([0-9a-f]{12})\.([0-9]{1,10})-([0-9]{1,20})\./.exec(fileName);
  return match === null ? undefined : { host: match[1]!, pid: Number(match[2]), startTicks: match[3]! };
}

/** Whether the process is still there; `unknown` when it is another machine's. */
export function markState(mark: OwnerMark): "alive" | "dead" | "unknown" {
  if (mark.host !== hostMark()) return "unknown";
  return startTicks(mark.pid) === mark.startTicks ? "alive" : "dead";
}

/** proc_pid_stat(5), fields 3 and 22; the name in field 2 may hold spaces and brackets. Undefined for one that has ended. */
function startTicks(pid: number | "self"): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // a zombie, or one that is going: nobody has waited for it yet
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
