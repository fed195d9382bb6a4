/**
 * /dev of a bundle's container: the nodes and links that every container has (runtime-spec, config-linux.md, "Default
 * Devices"; runtime-linux.md, "Dev symbolic links"), and those that the specification names.
 *
 * @module
 */
import { EEXIST } from "#linux/errno_values.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO } from "#linux/file.ts";
import { MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH } from "#linux/mount.ts";
import type { DeviceSpec, RuntimeSpec } from "#oci/runtime_spec.ts";
import { mark, type Step, step } from "#tape/step.ts";
import { DEVICE_LINKS } from "../device_steps.ts";
import { bindSteps } from "../mount_steps.ts";
import { parseMountOptions } from "../mount_options.ts";
import { targetSteps } from "../target_steps.ts";
import type { BundleSetup } from "./setup.ts";

/** Default nodes by major and minor (linux/Documentation/admin-guide/devices.txt). */
const DEFAULT_DEVICES: readonly DeviceSpec[] = ([
  ["null", 1, 3],
  ["zero", 1, 5],
  ["full", 1, 7],
  ["random", 1, 8],
  ["urandom", 1, 9],
  ["tty", 5, 0],
] as const).map(([name, major, minor]) => ({ type: "c", path: `/dev/${name}`, major, minor, fileMode: 0o666 }));

const TYPES = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO } as const;

/** Whether /dev is the container's own: a bind of the machine's is left as it is. */
export function hasOwnDevices({ mounts = [] }: RuntimeSpec): boolean {
  return !mounts.some(({ destination, type, options }) =>
    destination.replace(/\/+$/, "") === "/dev" && (type === "bind" || parseMountOptions(options ?? []).bind)
  );
}

/** Whether rules forbid any device: the last one that is about all of them decides. */
export function deniesDevices({ linux }: RuntimeSpec): boolean {
  const general = linux?.resources?.devices?.findLast(({ type = "a" }) => type === "a");
  return general !== undefined && !general.allow;
}

/** Whether /dev is a mount of its own. */
function hasDevMount({ mounts = [] }: RuntimeSpec): boolean {
  return mounts.some(({ destination }) => destination.replace(/\/+$/, "") === "/dev");
}

/** Whether nodes that lie in the root directory are closed: where rules forbid devices, and those of /dev lie elsewhere. */
export function closesNodes({ spec, makesNodes }: Pick<BundleSetup, "spec" | "makesNodes">): boolean {
  return makesNodes && deniesDevices(spec) && hasDevMount(spec);
}

/** All devices of a container; a default one gives way to one of the same path. */
export function devicesOf({ linux }: RuntimeSpec): DeviceSpec[] {
  const named = linux?.devices ?? [];
  return [...DEFAULT_DEVICES.filter(({ path }) => !named.some((device) => device.path === path)), ...named];
}

/** The nodes, then the links, in the /dev that is mounted. The step `dev` holds it afterwards. */
export function deviceSteps(setup: Pick<BundleSetup, "spec" | "makesNodes">): Step[] {
  const open = targetSteps("/dev", "dev", { make: "directory", noLinks: true });
  if (!hasOwnDevices(setup.spec)) return open;
  return [
    ...open,
    ...devicesOf(setup.spec).flatMap((device, index) =>
      setup.makesNodes ? makeSteps(device, `node ${index}`) : bindNodeSteps(device, `node ${index}`)
    ),
    ...DEVICE_LINKS.map(([target, name]) =>
      // an image's own link of that name stays, as with other runtimes
      step("symlinkat", [target, { result: "dev" }, name], "link", `/dev/${name}`, {
        jump: { when: "error", only: EEXIST, to: `link ${name}` },
      })
    ).flatMap((made, index) => [made, mark(`link ${DEVICE_LINKS[index]![1]}`, "linked")]),
  ];
}

/** Makes a node: root's. */
function makeSteps(
  { path, type, major = 0, minor = 0, fileMode = 0o666, uid = 0, gid = 0 }: DeviceSpec,
  id: string,
): Step[] {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  const parent = { result: `${id} parent` } as const;
  return [
    ...targetSteps(path.slice(0, slash) || "/", `${id} parent`, { make: "directory", noLinks: true }),
    step("mknodat", [parent, name, TYPES[type] | (fileMode & 0o7777), deviceNumber(major, minor)], "make node", path, {
      jump: { when: "error", only: EEXIST, to: `${id} there` },
    }),
    step("fchownat", [parent, name, uid, gid, 0x100], "give node", path),
    mark(`${id} there`, "node is there"),
    step("close", [parent], "close", path),
  ];
}

/** Binds the machine's node of the same path: a user namespace can make none. */
function bindNodeSteps({ path }: DeviceSpec, id: string): Step[] {
  return [
    ...bindSteps(id, path, undefined, { recursive: false, set: 0, recursiveAttributes: false, propagation: undefined }),
    ...targetSteps(path, `${id} target`, { make: "file", noLinks: true }),
    step(
      "move_mount",
      [{ result: id }, "", { result: `${id} target` }, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
      "mount at",
      path,
    ),
    step("close", [{ result: `${id} target` }], "close", path),
    step("close", [{ result: id }], "close", path),
  ];
}

/** makedev(3), as mknod(2) takes it: 12 bits of major, 20 of minor. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}
