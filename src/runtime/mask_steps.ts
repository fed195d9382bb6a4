import { MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY } from "#linux/mount.ts";
import { EINVAL } from "#linux/errno_values.ts";
import { AT_EMPTY_PATH, AT_FDCWD } from "#linux/file.ts";
import {
  AT_RECURSIVE,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  OPEN_TREE_CLOEXEC,
  OPEN_TREE_CLONE,
} from "#linux/mount.ts";
import { jumpTo, type Step, step } from "#tape/step.ts";
import { fileSystemSteps, place } from "./mount_steps.ts";
import { targetSteps } from "./target_steps.ts";

const ATTACH = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

/** What a path to be hidden is; undefined where only the kernel will know. */
export type MaskKind = "file" | "directory" | undefined;

/**
 * Hides paths: a file under the machine's /dev/null, a directory under an empty read-only tmpfs. The masks are
 * descriptors that we opened on the host, before the image could name anything. A path that is not there is
 * passed over; any other failure ends the start.
 */
export function maskSteps(paths: readonly string[], kindOf: (path: string) => MaskKind): Step[] {
  return paths.flatMap((path, index) => maskPathSteps(path, `masked ${index}`, kindOf(path)));
}

function maskPathSteps(path: string, target: string, kind: MaskKind): Step[] {
  const [directory, file, end] = [`${target} directory`, `${target} file`, `${target} end`];
  const unknown = kind === undefined;
  // a copy that is made in vain costs a wait of the kernel's when it goes, so it is made only where it may be needed
  const asFile = [
    step("open_tree", [AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC], "copy mask of", path, { id: file }),
    step("move_mount", [{ result: file }, "", { result: target }, "", ATTACH], "mask file", path, {
      // refused where the path is a directory (move_mount(2) has one error for that and for other misfits)
      ...(unknown ? { jump: { when: "error", only: EINVAL, to: `${directory} fs` } as const } : {}),
    }),
    ...(unknown ? [jumpTo(end, "it is a file")] : []),
  ];
  const asDirectory = [
    // a file system each: before Linux 6.15 a mount that is not attached cannot be copied
    ...fileSystemSteps(
      directory,
      "tmpfs",
      [["size", "0"], ["nr_inodes", "1"], ["mode", "555"]],
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
      path,
    ),
    step("move_mount", [{ result: directory }, "", { result: target }, "", ATTACH], "mask directory", path),
  ];
  return [
    ...targetSteps(path, target, { make: undefined, elseTo: end }),
    ...(kind === "directory" ? [] : asFile),
    ...(kind === "file" ? [] : asDirectory),
    place(end, "masked"),
  ];
}

/** Makes parts of the tree read-only, by a mount of each onto itself. */
export function readOnlySteps(paths: readonly string[], restrict: (id: string, path: string) => Step[]): Step[] {
  return paths.flatMap((path, index) => {
    const target = `readonly ${index}`;
    const [tree, end] = [`${target} tree`, `${target} end`];
    return [
      ...targetSteps(path, target, { make: undefined, elseTo: end }),
      step(
        "open_tree",
        // with what lies on it: of the host's /proc that is locked there (binfmt_misc), and a part alone is refused with EINVAL
        [{ result: target }, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE],
        "bind",
        path,
        { id: tree },
      ),
      step("move_mount", [{ result: tree }, "", { result: target }, "", ATTACH], "mount at", path),
      ...restrict(tree, path),
      place(end, "read-only"),
    ];
  });
}
