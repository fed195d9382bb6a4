/**
 * The group of a container that runs, found by its id where one of its processes is: nothing has to be written down.
 *
 * @module
 */
import { CGROUP_MOUNT, groupText, parseFlatKeyed, parseProcessGroup, tryWriteGroupFile } from "#linux/cgroup.ts";
import { readProcFile } from "#linux/proc.ts";

/** Below a scope, where the container is. */
export const CONTAINER = "container";

/** A container's group that is there. */
export interface ContainerGroup {
  /** Its directory. */
  readonly path: string;
  /** The scope that it is part of, and where in it; undefined where it is none of systemd's. */
  readonly scope: { readonly unit: string; readonly subgroup: string } | undefined;
}

/** Whether a directory's name is that of the group of this container, and which part of it the container is in. */
function groupPart(name: string, id: string): string | undefined {
  if (name === `dugout-${id}`) return "";
  return name.startsWith(`dugout-${id}-`) && name.endsWith(".scope") ? `/${CONTAINER}` : undefined;
}

/**
 * The group of a container, from where one of its processes is: which may be further down, where it has divided its own.
 * Undefined where it has none of its own.
 * @param processGroup The text of /proc/PID/cgroup.
 */
export function groupOfContainer(id: string, processGroup: string): ContainerGroup | undefined {
  const parts = (parseProcessGroup(processGroup) ?? "").split("/");
  const at = parts.findIndex((part) => groupPart(part, id) !== undefined);
  const unit = parts[at];
  if (unit === undefined) return undefined;
  const subgroup = groupPart(unit, id)!;
  return {
    path: `${CGROUP_MOUNT}${parts.slice(0, at + 1).join("/")}${subgroup}`,
    scope: subgroup === "" ? undefined : { unit, subgroup },
  };
}

/** The group of a container whose first process runs. */
export function findGroup(id: string, pid: number): ContainerGroup | undefined {
  return groupOfContainer(id, readProcFile(`/proc/${pid}/cgroup`) ?? "");
}

/** So often are the processes of a group killed that may have forked meanwhile. */
const MOST_ROUNDS = 100;

/** Kills all that is in a group: by the kernel at once (Linux 5.14), else each of its processes until there is none. */
export function killGroup(group: string): void {
  if (tryWriteGroupFile(group, "cgroup.kill", "1") === 0) return;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const pids = (groupText(group, "cgroup.procs") ?? "").split("\n").map(Number).filter((pid) => pid > 0);
    if (pids.length === 0) return;
    for (const pid of pids) killIfThere(pid);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has just ended, or is no process of this user's
  }
}

/** Whether a group is frozen; one that is just being frozen is not. */
export function isFrozen(group: string | undefined): boolean {
  return group !== undefined && parseFlatKeyed(groupText(group, "cgroup.events") ?? "").get("frozen") === 1;
}
