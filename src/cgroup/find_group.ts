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

/** Kills all that is in a group (Linux 5.14). @returns Whether the kernel could. */
export function killGroup(group: string): boolean {
  return tryWriteGroupFile(group, "cgroup.kill", "1") === 0;
}

/** Whether a group is frozen; one that is just being frozen is not. */
export function isFrozen(group: string | undefined): boolean {
  return group !== undefined && parseFlatKeyed(groupText(group, "cgroup.events") ?? "").get("frozen") === 1;
}
