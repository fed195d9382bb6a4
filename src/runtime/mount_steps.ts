import {
  AT_RECURSIVE,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR_SIZE,
  mountAttr,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REMOUNT,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "#linux/mount.ts";
import { AT_EMPTY_PATH, AT_FDCWD } from "#linux/file.ts";
import { EPERM } from "#linux/errno_values.ts";
import { operate, type Step, step } from "#tape/step.ts";
import { targetSteps } from "./target_steps.ts";

const LIMIT_HINT = "the limit of mounts is reached (sysctl fs.mount-max)";

/** Where something is mounted: its place in the container, and how that place is found. */
export interface MountPlace {
  readonly path: string;
  readonly make: "directory" | "file";
  readonly noLinks?: boolean;
}

/** Attaches the mount that step `id` holds. @param target The id of the step that opens the place. */
export function attachSteps(id: string, place: MountPlace, target = `${id} target`): Step[] {
  return [
    ...targetSteps(place.path, target, { make: place.make, ...(place.noLinks ? { noLinks: true } : {}) }),
    step(
      "move_mount",
      [{ result: id }, "", { result: target }, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
      "mount at",
      place.path,
      {
        hints: {
          ENOSPC: LIMIT_HINT,
          EINVAL: "a directory can be mounted on a directory only, a file on a file only",
        },
      },
    ),
    step("close", [{ result: target }], "close", place.path),
  ];
}

/**
 * A new file system, not attached yet.
 * @param data `key=value` pairs, or `key` alone, of the file system.
 * @param attributes MOUNT_ATTR_*.
 * @param elseTo The step to go on at when this machine does not let a user namespace have it (EPERM).
 */
export function fileSystemSteps(
  id: string,
  type: string,
  data: readonly (readonly [string, string | undefined])[],
  attributes: number,
  object: string,
  elseTo?: string,
): Step[] {
  const fs = `${id} fs`;
  const jump = elseTo === undefined ? {} : { jump: { when: "error", only: EPERM, to: elseTo } as const };
  const hints = {
    EPERM:
      `the kernel lets a user namespace mount ${type} only where the machine's own is fully visible: is this a container already, with parts of /proc or /sys masked?`,
    EINVAL: "the file system does not know one of the options",
    ENODEV: `this kernel has no ${type}`,
    ENOSPC: LIMIT_HINT,
  };
  return [
    step("fsopen", [type, FSOPEN_CLOEXEC], `make ${type} for`, object, { id: fs, hints }),
    ...data.map(([key, value]) =>
      value === undefined
        ? step("fsconfig", [{ result: fs }, FSCONFIG_SET_FLAG, key, 0, 0], `set ${type} option for`, object, { hints })
        : step("fsconfig", [{ result: fs }, FSCONFIG_SET_STRING, key, value, 0], `set ${type} option for`, object, {
          hints,
        })
    ),
    step("fsconfig", [{ result: fs }, FSCONFIG_CMD_CREATE, 0, 0, 0], `create ${type} for`, object, { hints, ...jump }),
    step("fsmount", [{ result: fs }, FSMOUNT_CLOEXEC, attributes], `mount ${type} for`, object, { id, hints, ...jump }),
    step("close", [{ result: fs }], "close", type),
  ];
}

/** What a copy of a mount is to be. */
export interface BindOptions {
  readonly recursive: boolean;
  /** MOUNT_ATTR_* to set. */
  readonly set: number;
  readonly recursiveAttributes: boolean;
  readonly propagation: number | undefined;
  /** Whether the propagation is that of the mounts below as well. Default: as the attributes. */
  readonly recursivePropagation?: boolean;
  /** What messages call the source, where a descriptor stands for it. */
  readonly object?: string;
}

/**
 * A copy of a part of the file tree, not attached yet.
 * @param from The step of a directory descriptor, or undefined for a path of the host.
 */
export function bindSteps(id: string, source: string, from: string | undefined, options: BindOptions): Step[] {
  const recursive = options.recursive ? AT_RECURSIVE : 0;
  const steps = [
    step(
      "open_tree",
      [
        from === undefined ? AT_FDCWD : { result: from },
        source,
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive | (source === "" ? AT_EMPTY_PATH : 0),
      ],
      "bind",
      options.object ?? source,
      {
        id,
        hints: {
          EINVAL: "what lies below it is mounted by somebody else: only a recursive bind (rbind) may take it along",
          ENOENT: "there is nothing on this machine",
          EACCES: "you may not reach it on this machine",
          ENOSPC: LIMIT_HINT,
        },
      },
    ),
  ];
  const { set, propagation = 0, recursiveAttributes, recursivePropagation = recursiveAttributes } = options;
  const change = (attributes: number, kind: number, below: boolean) =>
    step(
      "mount_setattr",
      [
        { result: id },
        "",
        AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0),
        mountAttr(attributes, 0, kind),
        MOUNT_ATTR_SIZE,
      ],
      "restrict the bind of",
      options.object ?? source,
      { hints: { ENOSYS: "this needs Linux 5.12" } },
    );
  if (set !== 0 && propagation !== 0 && recursiveAttributes !== recursivePropagation) {
    steps.push(change(set, 0, recursiveAttributes), change(0, propagation, recursivePropagation));
  } else if (set !== 0 || propagation !== 0) {
    steps.push(change(set, propagation, set === 0 ? recursivePropagation : recursiveAttributes));
  }
  return steps;
}

/**
 * Makes the mount at a descriptor read-only where mount_setattr(2) is missing (before Linux 5.12).
 * @param path A path by which the mount is reached, such as /proc/self/fd/100.
 * @param locked MS_* flags of the source, which a user namespace may not clear (C-132).
 */
export function remountReadOnlyStep(path: string, locked: number, object: string): Step {
  return step("mount", [0, path, 0, MS_REMOUNT | MS_BIND | MS_RDONLY | locked, 0], "make read-only", object, {
    hints: { EPERM: "in a user namespace the flags of the source mount are locked" },
  });
}

/** The MS_* flags among statfs(2)'s ST_* flags: they have the same values. */
export function lockedFlags(statfsFlags: number): number {
  return statfsFlags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

/** A step to jump to. */
export function place(id: string, label: string): Step {
  return operate("nop", [], label, { id });
}
