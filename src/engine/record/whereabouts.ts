/**
 * Where a container was started, and by whom: a home may be shared by several machines, and a pid means something in one
 * boot of one of them only.
 *
 * @module
 */
import { readlinkSync } from "node:fs";
import { machineName } from "#linux/machine.ts";
import { readBootId, readStartTime } from "#linux/proc.ts";

/** A place where processes run, and the process that started the container there. */
export interface Whereabouts {
  readonly bootId: string;
  readonly machine: string;
  readonly pidNamespace: string;
  readonly ownerPid: number;
  /** In clock ticks since boot: a pid is not a process. */
  readonly ownerStartTime: string;
}

/** This process, and where it runs. */
export function whereabouts(): Whereabouts {
  return {
    bootId: readBootId(),
    machine: machineName(),
    pidNamespace: readPidNamespace(),
    ownerPid: process.pid,
    ownerStartTime: readStartTime(process.pid) ?? "",
  };
}

function readPidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/**
 * How a place is seen from here: `here`, where its pids can be looked up; `before`, when this machine has been started
 * again since, so that nothing of it runs (C-059); `elsewhere`, where we cannot look.
 */
export function seenFrom(place: Whereabouts, here: Whereabouts): "here" | "before" | "elsewhere" {
  if (place.bootId === here.bootId) return place.pidNamespace === here.pidNamespace ? "here" : "elsewhere";
  return place.machine === here.machine ? "before" : "elsewhere";
}

/** Whether the process that started the container is there, seen from where it runs. */
export function isOwnerAlive(place: Whereabouts): boolean {
  return readStartTime(place.ownerPid) === place.ownerStartTime && place.ownerStartTime !== "";
}
