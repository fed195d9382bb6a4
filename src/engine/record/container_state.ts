/**
 * What is written of a container that was started. Loads nothing of node:, as a remembered start writes it too.
 *
 * @module
 */
import { type IdMap, mapText } from "#linux/idmap.ts";
import { readBootId, readStartTime } from "#linux/proc.ts";
import type { ContainerId } from "./container_id.ts";

/** The state of a container that was started. */
export interface ContainerState {
  readonly id: ContainerId;
  readonly name: string;
  /** Of its first process, as this machine sees it. */
  readonly pid: number;
  /** The process that waits for it and records its end. */
  readonly monitor: number;
  /** When that process started, in clock ticks since boot (proc(5), /proc/PID/stat, field 22): a pid is not a process. */
  readonly startTime: string;
  readonly bootId: string;
  /** The text of its uid_map. */
  readonly map: string;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
}

/** The state of a container whose first process runs, as it is now. */
export function stateOf(
  { id, name, running: { pid, monitor }, map, startedMs }: {
    readonly id: ContainerId;
    readonly name: string;
    readonly running: { readonly pid: number; readonly monitor: number };
    readonly map: IdMap;
    readonly startedMs: number;
  },
): ContainerState {
  return {
    id,
    name,
    pid,
    monitor,
    startTime: readStartTime(pid) ?? "",
    bootId: readBootId(),
    map: mapText(map.uid),
    startedMs,
  };
}
