/**
 * Mounts of parts: a path beneath a volume or an image, and the files of an image that nobody writes to.
 *
 * @module
 */
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  OPEN_HOW,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
} from "#linux/file.ts";
import { MS_NODEV, MS_NOSUID, MS_RDONLY } from "#linux/mount.ts";
import { ENOTDIR } from "#linux/errno_values.ts";
import { operate, type Step, step } from "#tape/step.ts";
import { attachSteps, type BindOptions, bindSteps, type MountPlace, place } from "./mount_steps.ts";
import { FIRST_LOWER_FD, MOST_LOWERS } from "./rootfs_steps.ts";
import { openHow } from "./target_steps.ts";

const DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC;
const BENEATH = openHow(O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);

/**
 * A copy of what lies beneath a directory, not attached yet. Whoever writes to the directory at the same time cannot lead
 * it out of there.
 */
export function bindBeneathSteps(id: string, source: string, subpath: string, options: BindOptions): Step[] {
  const [directory, part] = [`${id} source`, `${id} part`];
  const object = `${source}/${subpath}`;
  return [
    step("openat", [AT_FDCWD, source, DIRECTORY, 0], "open", source, { id: directory }),
    step("openat2", [{ result: directory }, subpath, BENEATH, OPEN_HOW.SIZE], "open in the volume or image", subpath, {
      id: part,
      hints: {
        ENOENT: "there is nothing at this path in the volume or image",
        EXDEV: "a symbolic link leads out of the volume or image",
        ENOTDIR: "a part of the path is a file",
      },
    }),
    ...bindSteps(id, "", part, { ...options, object }),
    step("close", [{ result: part }], "close", object),
    step("close", [{ result: directory }], "close", source),
  ];
}

/** Attaches a part: whether it is a directory or a file is asked of the kernel, since nobody else may look. */
export function attachPartSteps(id: string, where: Omit<MountPlace, "make">): Step[] {
  const [kind, file, end] = [`${id} kind`, `${id} is a file`, `${id} attached`];
  return [
    step("openat", [{ result: id }, ".", DIRECTORY, 0], "see whether a directory is to be mounted at", where.path, {
      id: kind,
      jump: { when: "error", only: ENOTDIR, to: file },
    }),
    step("close", [{ result: kind }], "close", where.path),
    ...attachSteps(id, { ...where, make: "directory" }),
    operate("nop", [], "it was one", { jump: { when: "always", to: end } }),
    place(file, "it is a file"),
    ...attachSteps(id, { ...where, make: "file" }, `${id} file target`),
    place(end, "attached"),
  ];
}

/**
 * An overlay of lower directories alone, mounted at a directory of the engine's; it is to be copied and unmounted.
 * @param lowers Topmost first; two or more, as overlayfs wants them where nothing is written.
 * @throws {RangeError} When there are more than overlayfs takes.
 */
export function lowerOverlaySteps(id: string, lowers: readonly string[], at: string): Step[] {
  if (lowers.length > MOST_LOWERS) {
    throw new RangeError(`Image has ${lowers.length} layers, overlayfs takes ${MOST_LOWERS}`);
  }
  // descriptors, so that no path has to be quoted
  const names = lowers.map((_, index) => `/proc/self/fd/${FIRST_LOWER_FD + index}`);
  return [
    ...lowers.flatMap((path, index) => [
      step("openat", [AT_FDCWD, path, DIRECTORY, 0], "open layer", path, { id: `${id} ${index}` }),
      step("dup3", [{ result: `${id} ${index}` }, FIRST_LOWER_FD + index, O_CLOEXEC], "number layer", path),
      step("close", [{ result: `${id} ${index}` }], "close layer", path),
    ]),
    step(
      "mount",
      ["overlay", at, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, `lowerdir=${names.join(":")},userxattr`],
      "mount overlay at",
      at,
      {
        hints: {
          EPERM: "this kernel does not let user namespaces mount overlayfs (Linux 5.11 does)",
          ENODEV: "this kernel has no overlayfs",
        },
      },
    ),
    ...lowers.map((path, index) => step("close", [FIRST_LOWER_FD + index], "close layer", path)),
  ];
}
