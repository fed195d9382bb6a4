/**
 * Removing groups in our own group: one by one, and what killed processes left. systemd removes its scopes itself.
 *
 * @module
 */
import * as fs from "node:fs";
import { CGROUP_MOUNT, groupText, parseProcessGroup, parseWords, tryWriteGroupFile } from "#linux/cgroup.ts";
import { EBUSY, ENOENT } from "#linux/errno_values.ts";
import { CALLERS_LEAF, withoutLeaf } from "./callers_leaf.ts";
import { readProcFile } from "#linux/proc.ts";
import { withPlaceLock } from "./place_lock.ts";

/** Removes a group and those that were made in it, if no process is in any. @returns Whether it is gone. */
export function removeGroup(group: string, depth = 0): boolean {
  const MOST_DEPTH = 64;
  if (depth > MOST_DEPTH) return false;
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(group, { withFileTypes: true });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
  for (const entry of entries) if (entry.isDirectory()) removeGroup(`${group}/${entry.name}`, depth + 1);
  try {
    fs.rmdirSync(group);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT";
  }
}

/** So long a group may be empty because its container is just being started. */
const STARTING_MS = 60_000;

/**
 * Removes groups that are left in the group that we are in: of containers that have ended or are gone. With the last one, the
 * processes of our group go back to where they were. Where there is nothing, it is one look.
 * @param isOver Whether the container of this id has ended; undefined where it is not known.
 */
export function sweepOwnGroups(isOver: (id: string) => boolean | undefined): void {
  const own = parseProcessGroup(readProcFile("/proc/self/cgroup") ?? "");
  if (own === undefined) return;
  const folder = `${CGROUP_MOUNT}${withoutLeaf(own)}`.replace(/\/$/, "");
  const groups = listGroups(folder);
  if (groups.length === 0 && !fs.existsSync(`${folder}/${CALLERS_LEAF}`)) return;
  withPlaceLock(folder, () => {
    for (const group of groups) {
      const over = isOver(group.slice(-ID_LENGTH));
      if (over === false || (over === undefined && isYoung(group))) continue;
      removeGroup(group);
    }
    if (listGroups(folder).length === 0) undivide(folder);
  });
}

const ID_LENGTH = 64;
/** So deep a group of somebody's may lie in which ours are made: `--cgroup-parent`. */
const MOST_PARENTS = 4;

/** Groups of containers in a group, and in those that somebody has made in it. */
function listGroups(folder: string, depth = 0): string[] {
  let entries: fs.Dirent[];
  try {
    entries = fs.readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    if (!entry.isDirectory()) return [];
    const path = `${folder}/${entry.name}`;
    if (/^dugout-[0-9a-f]{64}$/.test(entry.name)) return [path];
    // the root's groups are the whole machine's
    return depth === MOST_PARENTS || folder === CGROUP_MOUNT || entry.name.startsWith("dugout-")
      ? []
      : listGroups(path, depth + 1);
  });
}

function isYoung(path: string): boolean {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.ctimeMs < STARTING_MS;
}

/** Processes come and go while they are moved. */
const MOST_MOVES = 50;

/** Whoever is in the leaf goes back; what cannot be done is left for the next time. */
function undivide(folder: string): void {
  const leaf = `${folder}/${CALLERS_LEAF}`;
  if (!fs.existsSync(leaf)) return;
  // nobody else's groups may lose their limits
  const others = fs.readdirSync(folder, { withFileTypes: true }).some((entry) =>
    entry.isDirectory() && entry.name !== CALLERS_LEAF
  );
  if (others) return;
  const on = parseWords(groupText(folder, "cgroup.subtree_control") ?? "");
  if (
    on.length > 0 && tryWriteGroupFile(folder, "cgroup.subtree_control", on.map((name) => `-${name}`).join(" ")) < 0
  ) {
    return;
  }
  for (let round = 1; round <= MOST_MOVES; round++) {
    const pids = parseWords(groupText(leaf, "cgroup.procs") ?? "");
    for (const pid of pids) tryWriteGroupFile(folder, "cgroup.procs", pid);
    const path = fs.existsSync(leaf) ? tryRemove(leaf) : 0;
    if (path !== -EBUSY) return;
  }
}

function tryRemove(group: string): number {
  try {
    fs.rmdirSync(group);
    return 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EBUSY" ? -EBUSY : -ENOENT;
  }
}
