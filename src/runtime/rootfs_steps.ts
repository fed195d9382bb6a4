import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_SETFD,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_RDWR,
  SEEK_SET,
} from "#linux/file.ts";
import { MNT_DETACH, MOVE_MOUNT_F_EMPTY_PATH } from "#linux/mount.ts";
import { SIGNALS } from "#linux/signals.ts";
import { ENOENT } from "#linux/errno_values.ts";
import { type Step, step } from "#tape/step.ts";
import { attachSteps, bindSteps, fileSystemSteps, place } from "./mount_steps.ts";
import type { RootfsPlan, TreePart } from "./setup.ts";
import { ERROR_FD } from "./map_ids.ts";
import { ROOT } from "./target_steps.ts";

const DIRECTORY = O_PATH | O_DIRECTORY | O_CLOEXEC;

/** Where the lower directories are while overlayfs is mounted: descriptors, so that no path has to be quoted. */
export const FIRST_LOWER_FD = 100;
/** mount(2) takes a page of options: 3,600 bytes of `/proc/self/fd/NNN:`. */
export const MOST_LOWERS = 200;

/**
 * Opens what the root file system is made of, as the caller; that which is there already as the step {@linkcode ROOT}.
 * @throws {RangeError} When there are more layers than overlayfs takes.
 */
export function openRootfsSteps(rootfs: RootfsPlan): Step[] {
  switch (rootfs.kind) {
    case "directory":
      return [
        // pivot_root wants a mount point
        step("open_tree", [AT_FDCWD, rootfs.path, 0x1 | O_CLOEXEC | 0x8000], "bind", rootfs.path, { id: "root tree" }),
        step("openat", [AT_FDCWD, rootfs.path, DIRECTORY, 0], "open", rootfs.path, { id: "root place" }),
        step("move_mount", [{ result: "root tree" }, "", { result: "root place" }, "", 0x44], "mount at", rootfs.path),
        step("openat", [AT_FDCWD, rootfs.path, DIRECTORY, 0], "open", rootfs.path, { id: ROOT }),
      ];
    case "overlay":
      if (rootfs.lowers.length > MOST_LOWERS) {
        throw new RangeError(`Image has ${rootfs.lowers.length} layers, overlayfs takes ${MOST_LOWERS}`);
      }
      return openSteps({ ...rootfs, id: "layer" });
    case "fuse-overlayfs":
      return [step("openat", [AT_FDCWD, rootfs.merged, DIRECTORY, 0], "open", rootfs.merged, { id: ROOT })];
    case "tree":
      return [];
    default:
      throw new Error(`Unknown root file system ${rootfs satisfies never}`);
  }
}

/**
 * Mounts the root file system on the host's, as the container's root, and opens it as the step {@linkcode ROOT}, unless
 * {@linkcode openRootfsSteps} has done so. No directory of the host's is looked up for it.
 * @param owner Who is to own the root directory; undefined where that is so already.
 * @param at Where to mount an overlay instead: a directory that whoever plays the tape may pass to.
 */
export function rootfsSteps(rootfs: RootfsPlan, owner: Owner | undefined, at?: string): Step[] {
  switch (rootfs.kind) {
    case "overlay":
      return [...mountSteps({ ...rootfs, id: "layer", at: at ?? "/", owner }), openMountedRoot(at)];
    case "tree":
      return treeSteps(rootfs.parts, owner);
    case "directory":
    case "fuse-overlayfs":
      return [];
    default:
      throw new Error(`Unknown root file system ${rootfs satisfies never}`);
  }
}

/** `/` is the host's root, whatever lies on it; `..` of it is what lies on top (path_resolution(7)). */
const MOUNTED_ROOT = "/..";

function openMountedRoot(at = MOUNTED_ROOT): Step {
  return step("openat", [AT_FDCWD, at, DIRECTORY, 0], "open", "the container's root", { id: ROOT });
}

/** The parts in their order, parents first, on a small file system in memory. */
function treeSteps(parts: readonly TreePart[], owner: Owner | undefined): Step[] {
  return [
    ...fileSystemSteps("tree", "tmpfs", [["mode", "755"], ["size", "1m"]], 0, "the container's root"),
    step("move_mount", [{ result: "tree" }, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH], "mount at", "/"),
    openMountedRoot(),
    ...parts.flatMap((part, index) => partSteps(part, `part ${index}`, owner)),
  ];
}

function partSteps(part: TreePart, id: string, owner: Owner | undefined): Step[] {
  const name = part.path.replace(/^\/+/, "");
  switch (part.kind) {
    case "directory":
      return [step("mkdirat", [{ result: ROOT }, name, 0o755], "make directory", part.path)];
    case "link":
      return [step("symlinkat", [part.target, { result: ROOT }, name], "link", part.path)];
    case "file":
      return [
        ...orGone(
          bindSteps(id, part.source, undefined, {
            recursive: false,
            set: 0,
            recursiveAttributes: false,
            propagation: undefined,
          }),
          id,
        ),
        ...attachSteps(id, { path: part.path, make: "file" }),
        step("close", [{ result: id }], "close", part.path),
        place(`${id} gone`, "no such file any more"),
      ];
    case "overlay": {
      const mount = { ...part, id, lowers: [part.lower], at: `${MOUNTED_ROOT}/${name}`, volatile: true, owner };
      return [
        step("mkdirat", [{ result: ROOT }, name, 0o755], "make directory", part.path),
        ...orGone(openSteps(mount), id),
        ...mountSteps(mount),
        place(`${id} gone`, "no such directory any more"),
      ];
    }
    default:
      throw new Error(`Unknown part of a tree ${part satisfies never}`);
  }
}

/** The directories of an overlay. */
interface OverlayParts {
  /** Prefix of its steps' ids. */
  readonly id: string;
  readonly lowers: readonly string[];
  readonly upper: string;
  readonly work: string;
}

/** One overlay to mount. */
interface OverlayMount extends OverlayParts {
  readonly at: string;
  readonly volatile: boolean;
  readonly owner: Owner | undefined;
}

/** Ids inside. */
interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Lets the first step find nothing: what is on the host may go between the look and the start, as files below /tmp do. */
function orGone([first, ...rest]: readonly Step[], id: string): Step[] {
  return [{ ...first!, jump: { when: "error", to: `${id} gone`, only: ENOENT } }, ...rest];
}

/** The layers, then upper and work, as descriptors from {@linkcode FIRST_LOWER_FD} on. */
function openSteps({ id, lowers, upper, work }: OverlayParts): Step[] {
  return [...lowers, upper, work].flatMap((path, index) => [
    step("openat", [AT_FDCWD, path, DIRECTORY, 0], "open layer", path, {
      id: `${id} ${index}`,
      hints: {
        EACCES:
          "a directory on the way is closed to the container's root (with keep-id: one of mode 0700 whose group is not mapped): use --root with a directory elsewhere",
      },
    }),
    step("dup3", [{ result: `${id} ${index}` }, FIRST_LOWER_FD + index, O_CLOEXEC], "number layer", path),
    step("close", [{ result: `${id} ${index}` }], "close layer", path),
  ]);
}

function mountSteps({ lowers, upper, work, at, volatile, owner }: OverlayMount): Step[] {
  const directories = [...lowers, upper, work];
  const paths = directories.map((_, index) => `/proc/self/fd/${FIRST_LOWER_FD + index}`);
  const options = `lowerdir=${paths.slice(0, -2).join(":")},upperdir=${paths.at(-2)},workdir=${paths.at(-1)},userxattr${
    volatile ? ",volatile" : ""
  }`;
  const upperFd = FIRST_LOWER_FD + lowers.length;
  return [
    // the upper directory shows as the root: it belongs to root in the container, whoever made it
    ...(owner === undefined ? [] : [
      step("fchownat", [upperFd, "", owner.uid, owner.gid, AT_EMPTY_PATH], "give to the container's root", upper),
    ]),
    step("mount", ["overlay", at, "overlay", 0, options], "mount overlay at", at, {
      hints: {
        EPERM:
          "this kernel does not let user namespaces mount overlayfs (Linux 5.11 does): use --storage-driver fuse-overlayfs or vfs",
        EINVAL:
          "the file system of the store cannot be the upper part of overlayfs (NFS, or an overlay itself): use --storage-driver vfs, or --root on a local disk",
        ENODEV: "this kernel has no overlayfs: use --storage-driver vfs",
        ESTALE: "the upper directory belongs to another set of layers",
      },
    }),
    ...directories.map((path, index) => step("close", [FIRST_LOWER_FD + index], "close layer", path)),
  ];
}

/** What fuse-overlayfs is given for a mount. */
export function fuseOptions(rootfs: RootfsPlan & { kind: "fuse-overlayfs" }): string {
  const quote = (path: string) => path.replace(/[\\:,]/g, (char) => `\\${char}`);
  return `lowerdir=${rootfs.lowers.map(quote).join(":")},upperdir=${quote(rootfs.upper)},workdir=${quote(rootfs.work)}`;
}

/**
 * Starts fuse-overlayfs on `merged`, as a process beside the container's first one: outside of the container's pid and
 * mount namespaces. Played by the monitor in a mount namespace of its own. The program returns when the mount
 * is there, leaving its server behind.
 * @param becomeRoot It mounts by itself as root only.
 */
export function fuseSteps(
  rootfs: RootfsPlan & { kind: "fuse-overlayfs" },
  becomeRoot: readonly Step[],
  errorFd = ERROR_FD,
): Step[] {
  return [
    // what it says is shown only when it fails: some versions complain of options that every mount has
    step("memfd_create", ["fuse-overlayfs", 0], "make a file for", "the messages of fuse-overlayfs", { id: MESSAGES }),
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork for", "fuse-overlayfs", {
      id: "fuse fork",
      jump: { when: "nonzero", to: "fuse parent" },
    }),
    ...becomeRoot,
    step("openat", [AT_FDCWD, "/dev/null", O_RDWR, 0], "open", "/dev/null", { id: "fuse null" }),
    step("dup3", [{ result: "fuse null" }, 0, 0], "use as stdin", "/dev/null"),
    step("dup3", [{ result: "fuse null" }, 1, 0], "use as stdout", "/dev/null"),
    step("dup3", [{ result: MESSAGES }, 2, 0], "use as stderr", "the file for messages"),
    step("close_range", [3, errorFd - 1, 0], "close", "descriptors below the error pipe"),
    step("close_range", [errorFd + 1, 0xffffffff, 0], "close", `descriptors from ${errorFd + 1} on`),
    // its server lives as long as the container: the end of the pipe is waited for
    step("fcntl", [errorFd, F_SETFD, FD_CLOEXEC], "close on exec", "the error pipe"),
    step(
      "execve",
      [
        rootfs.program,
        { strings: [rootfs.program, "-o", fuseOptions(rootfs), rootfs.merged] },
        { strings: ["PATH=/usr/bin:/bin"] },
      ],
      "execute",
      rootfs.program,
      { hints: { ENOENT: "fuse-overlayfs is not installed: use --storage-driver vfs" } },
    ),
    place("fuse parent", "fuse-overlayfs runs"),
  ];
}

/** Shows what fuse-overlayfs said. */
export function fuseMessageSteps(): Step[] {
  return [
    step("lseek", [{ result: MESSAGES }, 0, SEEK_SET], "go to the start of", "the messages of fuse-overlayfs"),
    step("sendfile", [2, { result: MESSAGES }, 0, 65536], "show", "the messages of fuse-overlayfs", { ignore: true }),
  ];
}

const MESSAGES = "fuse messages";

/** Makes the container's root the root, and lets go of the host's. */
export function pivotSteps(): Step[] {
  return [
    step("fchdir", [{ result: ROOT }], "enter", "the container's root"),
    // the old root comes to lie on top of the new one, and is taken off at once (pivot_root(2), NOTES)
    step("pivot_root", [".", "."], "change root to", "the container's root", {
      hints: { EINVAL: "the machine's own root is a ramfs, or no mount point" },
    }),
    step("umount2", [".", MNT_DETACH], "let go of", "the host's root"),
    step("chdir", ["/"], "enter", "/"),
  ];
}
