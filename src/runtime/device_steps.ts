import { MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOVE_MOUNT_F_EMPTY_PATH } from "#linux/mount.ts";
import { S_IFREG } from "#linux/file.ts";
import { type Step, step } from "#tape/step.ts";
import { attachSteps, bindSteps, fileSystemSteps } from "./mount_steps.ts";

/** The nodes that every container has (runtime-spec, config-linux.md, "Default Devices"). */
export const DEFAULT_NODES = ["null", "zero", "full", "random", "urandom", "tty"] as const;

/** The links that every container has (runtime-linux.md, "Dev symbolic links"): what they lead to, and their names. */
export const DEVICE_LINKS = [
  ["/proc/self/fd", "fd"],
  ["/proc/self/fd/0", "stdin"],
  ["/proc/self/fd/1", "stdout"],
  ["/proc/self/fd/2", "stderr"],
  ["pts/ptmx", "ptmx"],
] as const;

/**
 * A new /dev: a small tmpfs with the machine's own nodes bound into it (a user namespace cannot make nodes), and links.
 * The step `dev` holds it afterwards. Nothing in it comes from the image.
 */
export function deviceSteps(size: string): Step[] {
  return [
    ...fileSystemSteps("dev", "tmpfs", [["mode", "755"], ["size", size]], MOUNT_ATTR_NOSUID, "/dev"),
    ...attachSteps("dev", { path: "/dev", make: "directory", noLinks: true }),
    ...DEFAULT_NODES.flatMap((name) => nodeSteps(`/dev/${name}`, name)),
    ...DEVICE_LINKS.map(([target, name]) =>
      step("symlinkat", [target, { result: "dev" }, name], "link", `/dev/${name}`)
    ),
  ];
}

/** Binds a node of the host into the new /dev. */
function nodeSteps(source: string, name: string): Step[] {
  const id = `node ${name}`;
  return [
    step("mknodat", [{ result: "dev" }, name, S_IFREG | 0o666, 0], "make file", `/dev/${name}`),
    ...bindSteps(id, source, undefined, {
      recursive: false,
      set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
      recursiveAttributes: false,
      propagation: undefined,
    }).slice(0, 1),
    step(
      "move_mount",
      [{ result: id }, "", { result: "dev" }, name, MOVE_MOUNT_F_EMPTY_PATH],
      "mount at",
      `/dev/${name}`,
    ),
    step("close", [{ result: id }], "close", source),
  ];
}
