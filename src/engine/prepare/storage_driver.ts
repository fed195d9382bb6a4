/**
 * The storage driver of this engine: the one that was asked for, or the first that works, tried once and remembered.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CLONE_NEWNS } from "#linux/namespaces.ts";
import { close } from "#linux/file.ts";
import type { IdMap } from "#linux/idmap.ts";
import { MNT_DETACH, MS_PRIVATE, MS_REC } from "#linux/mount.ts";
import { fuseSteps, openRootfsSteps, rootfsSteps } from "#runtime/rootfs_steps.ts";
import { ROOT } from "#runtime/target_steps.ts";
import { ERROR_FD } from "#runtime/map_ids.ts";
import { startInUserNamespace, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "#runtime/user_namespace.ts";
import { type LayeredRootfs, parseDriverName } from "#storage/driver.ts";
import { quote } from "#oci/text.ts";
import { type DriverChoice, findFitDirectory, loadDriver } from "#storage/probe.ts";
import { failureError } from "#tape/play.ts";
import { readFailure, waitFor } from "#tape/play_encoded.ts";
import { type Step, step } from "#tape/step.ts";
import type { Engine } from "../engine.ts";

/**
 * The driver, and why it is that one.
 * @throws {DugoutError} DRIVER_UNKNOWN, DRIVER_UNFIT for one that was asked for and cannot be had.
 */
export function openDriver(engine: Engine): Promise<DriverChoice> {
  const wanted = engine.storageDriver === undefined ? undefined : parseDriverName(engine.storageDriver);
  return loadDriver(engine.dataRoot, engine.runRoot, wanted, { tryRootfs }, ({ driver, reason }) => {
    if (driver.name === "vfs" && wanted === undefined) engine.warn(describeCopying(engine.dataRoot, reason));
  });
}

/** What is said once where layers have to be copied for each container (C-055). */
function describeCopying(dataRoot: string, reason: string): string {
  const fit = findFitDirectory(["/var/tmp", "/tmp"]);
  const instead = fit === undefined
    ? "--root with a directory on a local disk would be quicker"
    : `--root ${join(fit, `dugout-store-${process.geteuid!()}`)} would be quicker`;
  return `Storage driver "vfs" for the store ${
    quote(dataRoot)
  }: each container gets a copy of its image (${reason}); ${instead}`;
}

/** Mounts a root file system in namespaces that end at once, and makes a directory in it. @returns What went wrong. */
function tryRootfs(plan: LayeredRootfs): string | undefined {
  if (plan.kind === "directory") return undefined;
  const map: IdMap = {
    uid: [{ inside: 0, outside: process.geteuid!(), count: 1 }],
    gid: [{ inside: 0, outside: process.getegid!(), count: 1 }],
  };
  const tape = {
    steps: [
      ...userNamespaceSteps(map),
      step("unshare", [CLONE_NEWNS], "make", "mount namespace"),
      step("mount", ["none", "/", 0, MS_REC | MS_PRIVATE, 0], "make mounts private at", "/"),
      ...(plan.kind === "fuse-overlayfs" ? startFuseSteps(plan) : []),
      ...openRootfsSteps(plan),
      ...rootfsSteps(plan, { uid: 0, gid: 0 }),
      step("mkdirat", [{ result: ROOT }, "made", 0o700], "make a directory in", "the container's root"),
      // the end of a namespace does not end a server of FUSE
      ...(plan.kind === "fuse-overlayfs" ? [step("umount2", [plan.merged, MNT_DETACH], "unmount", plan.merged)] : []),
    ],
    buffers: new Map([...USER_NAMESPACE_BUFFERS, ["status", { sizeBytes: 8 }]]),
    errorFd: ERROR_FD,
  };
  try {
    const playing = startInUserNamespace(tape, map, [], { name: "dugout-probe" });
    const failure = readFailure(playing.errors);
    close(playing.errors);
    waitFor(playing.pid);
    if (failure !== undefined) return failureError(tape, failure).message;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  // without the mount the directory would lie in the mount point itself
  return existsSync(join(plan.upper, "made")) ? undefined : "the mount did not come about";
}

function startFuseSteps(plan: Extract<LayeredRootfs, { kind: "fuse-overlayfs" }>): Step[] {
  return [
    ...fuseSteps(plan, []),
    step("wait4", [{ result: "fuse fork" }, { buffer: "status" }, 0, 0], "wait for", "fuse-overlayfs", { retry: true }),
  ];
}
