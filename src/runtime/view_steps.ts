/**
 * The root file system of a container that does not run, put together for a worker: in a mount namespace of its own, in
 * which the host's tree stays the root, so that nothing of the container is ever executed and nothing stays mounted.
 *
 * @module
 */
import { AT_EMPTY_PATH, AT_FDCWD, O_DIRECTORY, O_PATH } from "#linux/file.ts";
import {
  MNT_DETACH,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_SIZE,
  mountAttr,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_REC,
  MS_SLAVE,
} from "#linux/mount.ts";
import { CLONE_NEWNS } from "#linux/namespaces.ts";
import { ENOENT } from "#linux/errno_values.ts";
import { POLLFD, POLLIN } from "#linux/poll.ts";
import { SIGNALS } from "#linux/signals.ts";
import { type Step, step, type TapeBuffer } from "#tape/step.ts";
import { attachPartSteps, bindBeneathSteps, lowerOverlaySteps } from "./beneath_steps.ts";
import { becomeRootSteps } from "./namespace_steps.ts";
import { attachSteps, type BindOptions, bindSteps, place } from "./mount_steps.ts";
import { fuseSteps, openRootfsSteps, rootfsSteps } from "./rootfs_steps.ts";
import type { RootfsPlan } from "./setup.ts";
import { ROOT, targetSteps } from "./target_steps.ts";

/** A volume or a directory of the host in a container. */
export interface ViewMount {
  readonly source: string;
  /** Absolute in the container, links followed as far as they lead. */
  readonly target: string;
  readonly kind: "directory" | "file";
  readonly subpath?: string | undefined;
  readonly readOnly: boolean;
}

/** A root file system for a worker. */
export type ContainerView =
  /** As the container has it, to be written to. */
  | {
    readonly kind: "writable";
    readonly rootfs: Exclude<RootfsPlan, { kind: "tree" }>;
    readonly mounts: readonly ViewMount[];
    /** Whether its root is not to be written to: `--read-only`. */
    readonly readOnly: boolean;
  }
  /** Directories over each other, topmost first: to look at. Where there is one alone it is shown as it is. */
  | {
    readonly kind: "snapshot";
    readonly directories: readonly string[];
    readonly at: string;
    readonly mounts: readonly ViewMount[];
  };

/** Steps that mount a view and hold its root as the descriptor `fd`. */
export function viewSteps(view: ContainerView, fd: number): Step[] {
  return [
    step("unshare", [CLONE_NEWNS], "make", "mount namespace"),
    step("mount", [0, "/", 0, MS_REC | MS_SLAVE, 0], "keep mounts from", "the host"),
    ...rootSteps(view),
    ...view.mounts.flatMap((mount, index) => mountSteps(mount, `view ${index}`, view.kind)),
    ...(view.kind === "writable" && view.readOnly
      ? [
        step(
          "mount_setattr",
          [{ result: ROOT }, "", AT_EMPTY_PATH, mountAttr(MOUNT_ATTR_RDONLY, 0, 0), MOUNT_ATTR_SIZE],
          "make read-only",
          "the container's root",
        ),
      ]
      : []),
    step("dup3", [{ result: ROOT }, fd, 0], "number", "the container's root"),
  ];
}

function rootSteps(view: ContainerView): Step[] {
  if (view.kind === "snapshot") {
    const [first, ...rest] = view.directories;
    const top = rest.length === 0 ? first! : view.at;
    return [
      ...(rest.length === 0 ? [] : lowerOverlaySteps("layer", view.directories, view.at)),
      step("openat", [AT_FDCWD, top, O_PATH | O_DIRECTORY, 0], "open", top, { id: ROOT }),
    ];
  }
  const { rootfs } = view;
  if (rootfs.kind !== "fuse-overlayfs") {
    // below the host's root, which the worker goes on to use
    const at = rootfs.kind === "overlay" ? rootfs.merged : undefined;
    return [...openRootfsSteps(rootfs), ...rootfsSteps(rootfs, { uid: 0, gid: 0 }, at)];
  }
  return [
    ...fuseSteps(rootfs, becomeRootSteps({ uid: 0, gid: 0 })),
    step("wait4", [{ result: "fuse fork" }, { buffer: "status" }, 0, 0], "wait for", "fuse-overlayfs", { retry: true }),
    ...guardSteps(rootfs.merged),
    ...openRootfsSteps(rootfs),
  ];
}

/** In what is only looked at no place is made. */
function attachIfThereSteps(id: string, target: string, elseTo: string): Step[] {
  const at = `${id} target`;
  return [
    ...targetSteps(target, at, { make: undefined, elseTo }),
    step(
      "move_mount",
      [{ result: id }, "", { result: at }, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
      "mount at",
      target,
    ),
    step("close", [{ result: at }], "close", target),
  ];
}

const GUARDED_FD = 70;

/**
 * A process that unmounts when the worker has ended, however it ends: the server of a FUSE mount lives in the same mount
 * namespace, and each would wait for the other one.
 */
function guardSteps(merged: string): Step[] {
  return [
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork for", "what unmounts at the end", {
      id: "guard fork",
      jump: { when: "nonzero", to: "guard parent" },
    }),
    step("getppid", [], "see", "the worker", { id: "guarded" }),
    step("pidfd_open", [{ result: "guarded" }, 0], "open", "the worker", { id: "guarded fd" }),
    step("dup3", [{ result: "guarded fd" }, GUARDED_FD, 0], "number", "the worker"),
    // the pipes of the worker end with it
    step("close_range", [0, GUARDED_FD - 1, 0], "close", "other descriptors"),
    step("ppoll", [{ buffer: GUARD_BUFFER }, 1, 0, 0, 8], "wait for", "the worker's end", { retry: true }),
    step("umount2", [merged, MNT_DETACH], "unmount", merged, { ignore: true }),
    step("exit_group", [0], "leave", ""),
    place("guard parent", "the worker goes on"),
  ];
}

const GUARD_BUFFER = "guard poll";

/** The buffers that {@linkcode viewSteps} needs. */
export function viewBuffers(): [string, TapeBuffer][] {
  const bytes = new Uint8Array(POLLFD.SIZE);
  const view = new DataView(bytes.buffer);
  view.setInt32(POLLFD.fd, GUARDED_FD, true);
  view.setInt16(POLLFD.events, POLLIN, true);
  return [["status", { sizeBytes: 8 }], [GUARD_BUFFER, { sizeBytes: POLLFD.SIZE, bytes }]];
}

function mountSteps(
  { source, target, kind, subpath, readOnly }: ViewMount,
  id: string,
  view: ContainerView["kind"],
): Step[] {
  const gone = `${id} gone`;
  const options: BindOptions = {
    recursive: true,
    set: readOnly ? MOUNT_ATTR_RDONLY : 0,
    recursiveAttributes: readOnly,
    propagation: undefined,
  };
  const [first, ...rest] = subpath === undefined
    ? bindSteps(id, source, undefined, options)
    : bindBeneathSteps(id, source, subpath, options);
  return [
    // what was on the host may have gone since; what lies below it shows then
    { ...first!, jump: { when: "error", to: gone, only: ENOENT } },
    ...rest,
    ...(view === "snapshot"
      ? attachIfThereSteps(id, target, gone)
      : subpath === undefined
      ? attachSteps(id, { path: target, make: kind })
      : attachPartSteps(id, { path: target })),
    step("close", [{ result: id }], "close", target),
    place(gone, "nothing to mount"),
  ];
}
