/**
 * `mount` and `umount`: a container's files at a path of this machine, within the user and mount namespace that
 * `dugout unshare` has made; nobody outside sees them there.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MNT_DETACH } from "#linux/mount.ts";
import { DugoutError } from "#oci/error.ts";
import { openRootfsSteps, rootfsSteps } from "#runtime/rootfs_steps.ts";
import { ERROR_FD } from "#runtime/map_ids.ts";
import { playTape } from "#tape/play.ts";
import { type Step, step } from "#tape/step.ts";
import { type ContainerRecord, listRecords } from "../record/container_record.ts";
import { exportTrees } from "./container_trees.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { readMountPoints } from "../prepare/host_tree.ts";
import { withContainerLock } from "../record/lock_container.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** Refuses to mount where only the caller's own namespace would see a failure. @throws {DugoutError} NOT_UNSHARED. */
export function requireUnshared(command: string): void {
  const map = readFileSync("/proc/self/uid_map", "latin1").trim().split(/\s+/);
  const isMachine = map.length === 3 && map[1] === "0" && map[2] === "4294967295";
  if (process.geteuid!() === 0 && !isMachine) return;
  throw new DugoutError(
    "NOT_UNSHARED",
    `'dugout ${command}' works inside of 'dugout unshare' only: elsewhere a plain user may mount nothing`,
    { hint: `'dugout unshare' opens a shell; there, 'dugout ${command}' does it. 'dugout cp' needs neither` },
  );
}

function mergedPath(engine: Engine, { id }: ContainerRecord): string {
  return join(engine.dataRoot, "containers", id, "merged");
}

/**
 * Mounts a container's root.
 * @returns Where it is.
 * @throws {DugoutError} CONTAINER_RUNNING, MOUNT_IMPOSSIBLE.
 */
export async function mountContainer(engine: Engine, record: ContainerRecord): Promise<string> {
  return await withContainerLock(engine, record.id, () => {
    const status = readStatus(engine, record, whereabouts());
    if (status.kind === "running" || status.kind === "elsewhere") {
      throw new DugoutError(
        "CONTAINER_RUNNING",
        `Cannot mount the container "${record.name}": it runs, and overlayfs may not be mounted twice on the same files`,
        { hint: "use 'dugout cp' or 'dugout exec'" },
      );
    }
    const { tree, lowers, isComplete } = exportTrees(engine, record);
    if (isComplete || lowers.length === 0) return tree;
    const merged = mergedPath(engine, record);
    if (readMountPoints().includes(merged)) return merged;
    const work = join(engine.dataRoot, "containers", record.id, "work");
    const rootfs = { kind: "overlay" as const, lowers, upper: tree, work, merged, volatile: false };
    play([...openRootfsSteps(rootfs), ...rootfsSteps(rootfs, { uid: 0, gid: 0 }, merged)]);
    return merged;
  });
}

/** Unmounts it. @returns Whether it was mounted. */
export function unmountContainer(engine: Engine, record: ContainerRecord): boolean {
  const merged = mergedPath(engine, record);
  if (!readMountPoints().includes(merged)) return false;
  play([step("umount2", [merged, MNT_DETACH], "unmount", merged)]);
  return true;
}

/** The containers that are mounted here, and where. */
export function listMounted(engine: Engine): { record: ContainerRecord; path: string }[] {
  const points = new Set(readMountPoints());
  return listRecords(engine.dataRoot).records
    .map((record) => ({ record, path: mergedPath(engine, record) }))
    .filter(({ path }) => points.has(path));
}

function play(steps: readonly Step[]): void {
  playTape({ steps, buffers: new Map(), errorFd: ERROR_FD });
}
