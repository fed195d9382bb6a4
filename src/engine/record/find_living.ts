/**
 * Containers that run although nobody wrote down that they do: the command that started one was killed at once, or the
 * runtime directory was swept (C-058). Their monitors have that directory open, and its name is the container's id.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { mapText } from "#linux/idmap.ts";
import { STATE_FD } from "#runtime/setup.ts";
import type { ContainerRecord } from "./container_record.ts";
import { parseMapName } from "#linux/idmap.ts";
import { readStartTime } from "#linux/proc.ts";
import type { ContainerState } from "./container_state.ts";

/** The state of a container, from its processes; undefined where its first one has ended. */
export function findLiving(record: ContainerRecord, monitor: number): ContainerState | undefined {
  const pid = findFirstProcess(monitor);
  const startTime = pid === undefined ? undefined : readStartTime(pid);
  if (pid === undefined || startTime === undefined) return undefined;
  const map = parseMapName(record.map);
  return {
    id: record.id as ContainerState["id"],
    name: record.name,
    pid,
    monitor,
    startTime,
    bootId: record.bootId,
    map: map === undefined ? "" : mapText(map.uid),
    startedMs: Date.parse(record.created) || Date.now(),
  };
}

/**
 * The process that waits for a container; undefined where there is none.
 * @param known Its pid, where it was written down: then no other process is looked at.
 */
export function findMonitor(id: string, known: number | undefined): number | undefined {
  if (known !== undefined) return isMonitor(known, id) || isClosedMonitor(known) ? known : undefined;
  return readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name)).map(Number).find((pid) => isMonitor(pid, id));
}

function isMonitor(pid: number, id: string): boolean {
  try {
    // a directory that was removed has " (deleted)" behind its name
    const path = readlinkSync(`/proc/${pid}/fd/${STATE_FD}`).replace(/ \(deleted\)$/, "");
    return basename(path) === id && path.includes("/containers/");
  } catch {
    // somebody else's process, or one that has ended, or has no such descriptor
    return false;
  }
}

/**
 * Whether a process that was a monitor still is one, where its descriptors are closed to us: with `--userns keep-id` it has a
 * subordinate id. It is called so, or, before it has its own tape, as the descriptor that it was executed from.
 */
function isClosedMonitor(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/fd/${STATE_FD}`);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") return false;
  }
  // closed are those of a process that has ended, too, until somebody waits for it
  if (readStartTime(pid) === undefined) return false;
  try {
    return /^(?:dugout-monitor|[0-9]+)$/.test(readFileSync(`/proc/${pid}/comm`, "latin1").trim());
  } catch {
    return false;
  }
}

/** The monitor's child that is the first process of a pid namespace; its other children are copiers. */
function findFirstProcess(monitor: number): number | undefined {
  let children: string[];
  try {
    children = readFileSync(`/proc/${monitor}/task/${monitor}/children`, "latin1").trim().split(" ");
  } catch {
    return undefined;
  }
  return children.map(Number).find((pid) => isFirstProcess(pid));
}

function isFirstProcess(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    return /^NSpid:.*\t1$/m.test(status) && !/^State:\t[ZX]/m.test(status);
  } catch {
    return false;
  }
}
