import { accessSync, constants } from "node:fs";
import { CGROUP_MOUNT, parseProcessGroup } from "#linux/cgroup.ts";
import { readProcFile } from "#linux/proc.ts";
import { BusError } from "./dbus/error.ts";
import type { ContainerGroup } from "./find_group.ts";
import { busFailure } from "./group_error.ts";
import { SUPERVISOR } from "./group.ts";
import { attachToScope } from "./systemd.ts";

/**
 * Puts a process of ours where it may start another one in a container's group: a process moves, or is born elsewhere, only by
 * whoever may write in the group above both (cgroup-v2.rst, "Delegation Containment"). Out of a login session that takes systemd.
 * @returns The group's directory, for `StartFds.joinGroup`.
 * @throws {DugoutError} CGROUP_BUS.
 */
export function joinGroup({ path, scope }: ContainerGroup, pid: number): string {
  const own = `${CGROUP_MOUNT}${parseProcessGroup(readProcFile(`/proc/${pid}/cgroup`) ?? "") ?? ""}`;
  if (scope === undefined || isWritable(`${commonGroup(own, path)}/cgroup.procs`)) return path;
  try {
    attachToScope(scope.unit, `/${SUPERVISOR}`, pid, process.geteuid!());
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    throw busFailure("Cannot enter the container's control group", error);
  }
  return path;
}

/** The group above both, or one of them. */
export function commonGroup(one: string, other: string): string {
  const [left, right] = [one.split("/"), other.split("/")];
  const differs = left.findIndex((part, index) => part !== right[index]);
  return (differs < 0 ? left : left.slice(0, differs)).join("/");
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
