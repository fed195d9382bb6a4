/**
 * The mounts of a runtime specification, in its order, and what restricts them.
 *
 * @module
 */
import { O_CLOEXEC } from "#linux/file.ts";
import { outsideId } from "#linux/idmap.ts";
import {
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_SIZE,
  mountAttr,
} from "#linux/mount.ts";
import { DugoutError } from "#oci/error.ts";
import type { MountSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import { operate, type Step, step } from "#tape/step.ts";
import { deviceSteps } from "./device_steps.ts";
import { parseMountOptions } from "./mount_options.ts";
import { attachPartSteps } from "./beneath_steps.ts";
import { isFromHost, isLowerOverlay, mountId } from "./mount_source_steps.ts";
import { attachSteps, bindSteps, fileSystemSteps, place, remountReadOnlyStep } from "./mount_steps.ts";
import type { ContainerSetup, MountContext } from "./setup.ts";
import { ROOT, targetSteps } from "./target_steps.ts";
import { consoleSteps, openTerminalSteps, sendTerminalSteps } from "./terminal_steps.ts";
import { kernelSettings, kernelSettingSteps } from "./setting_steps.ts";
import { requireProcess } from "./setup.ts";

/** The group that owns terminals in every distribution. */
export const TTY_GROUP = 5;

/** All mounts of the specification, in its order; /dev with its nodes, the terminal behind /dev/pts, settings in /proc. */
export function mountsSteps(setup: ContainerSetup): Step[] {
  const mounts = setup.spec.mounts ?? [];
  const settings = kernelSettings(setup);
  const proc = mounts.findIndex(isKernelProc);
  if (settings.length > 0 && proc < 0) {
    throw new DugoutError(
      "SETTING_IMPOSSIBLE",
      `Cannot write the setting ${quote(settings[0]![0])}: something else is mounted at /proc`,
      { hint: "leave out the mount at /proc, or --sysctl and --oom-score-adj" },
    );
  }
  return mounts.flatMap((mount, index) => {
    const id = mountId(index);
    if (mount.destination === "/dev" && mount.type === "tmpfs") {
      const size = parseMountOptions(mount.options ?? []).data.find(([key]) => key === "size")?.[1];
      return deviceSteps(size ?? "64m");
    }
    const steps = specMountSteps(setup, mount, id);
    if (mount.type === "devpts" && setup.stdio.kind === "terminal") steps.push(...terminalSteps(setup));
    // before anything can be mounted over a part of it
    if (index === proc) steps.push(...kernelSettingSteps(settings));
    return steps;
  });
}

export function isKernelProc({ destination, type, source }: MountSpec): boolean {
  return destination === "/proc" && (type === "proc" || (type === "bind" && source === "/proc"));
}

function terminalSteps(setup: ContainerSetup): Step[] {
  const process = requireProcess(setup.spec);
  const size = process.consoleSize ?? { height: 24, width: 80 };
  const group = outsideId(setup.map.gid, TTY_GROUP) === undefined ? process.user.gid : TTY_GROUP;
  const owner = { uid: process.user.uid, gid: group };
  return [
    ...openTerminalSteps({ rows: size.height, columns: size.width }, owner),
    ...sendTerminalSteps(),
    ...consoleSteps(),
  ];
}

/** One mount of the specification (runtime-spec, config.md, "Mounts"). */
export function specMountSteps(setup: MountContext, mount: MountSpec, id: string): Step[] {
  const options = parseMountOptions(mount.options ?? []);
  const object = mount.destination;
  const kernel = ["/proc", "/sys", "/dev"].some((path) => object === path || object.startsWith(`${path}/`));
  const destination = kernel ? object : setup.resolve(object);
  if (isFromHost(mount, options)) {
    const source = mount.source ?? "";
    const where = { path: destination, noLinks: kernel };
    const make = isLowerOverlay(mount, options) ? "directory" : setup.sourceKind(source);
    return [
      ...(options.subpath === undefined ? attachSteps(id, { ...where, make }) : attachPartSteps(id, where)),
      ...(setup.host.mountSetattr || options.set === 0
        ? []
        : restrictSteps(setup, id, object, options.set, setup.lockedFlags(source))),
      step("close", [{ result: id }], "close", object),
    ];
  }
  const type = mount.type === "cgroup" ? "cgroup2" : mount.type ?? "none";
  const alternative = `${id} instead`;
  const end = `${id} end`;
  // a kernel file system whose own mount is masked on this machine (a container in a container) is bound (C-069)
  const source = { proc: "/proc", sysfs: "/sys", mqueue: "/dev/mqueue", cgroup2: "/sys/fs/cgroup" }[type];
  const made = fileSystemSteps(
    type === "devpts" ? "devpts" : id,
    type,
    // what df shows: a tmpfs has no other source
    type === "tmpfs" && mount.source !== undefined ? [["source", mount.source], ...options.data] : options.data,
    options.set,
    object,
    source === undefined ? undefined : alternative,
  );
  const attach = attachSteps(type === "devpts" ? "devpts" : id, {
    path: destination,
    make: "directory",
    noLinks: kernel,
  });
  if (source === undefined) return [...made, ...attach];
  return [
    ...made,
    operate("nop", [], "it could be made", { jump: { when: "always", to: end } }),
    place(alternative, `bind ${source} instead`),
    ...bindSteps(`${id} bind`, source, undefined, {
      recursive: true,
      set: 0,
      recursiveAttributes: false,
      propagation: undefined,
    }),
    ...attachSteps(`${id} bind`, { path: destination, make: "directory", noLinks: kernel }),
    ...(options.set & MOUNT_ATTR_RDONLY
      ? restrictSteps(setup, `${id} bind`, object, MOUNT_ATTR_RDONLY, setup.lockedFlags(source))
      : []),
    operate("nop", [], "bound", { jump: { when: "always", to: `${id} done` } }),
    place(end, "attach it"),
    ...attach,
    place(`${id} done`, "mounted"),
  ];
}

/** Adds restrictions to the mount that step `id` holds, which is attached already. */
export function restrictSteps(
  setup: Pick<MountContext, "host">,
  id: string,
  path: string,
  set: number,
  locked: number,
): Step[] {
  if (setup.host.mountSetattr) {
    return [
      step("mount_setattr", [{ result: id }, "", 0x1000, mountAttr(set), MOUNT_ATTR_SIZE], "restrict", path),
    ];
  }
  return [
    step("dup3", [{ result: id }, 90, O_CLOEXEC], "number", path),
    // MOUNT_ATTR_* and MS_* of these flags have the same values
    remountReadOnlyStep(
      "/proc/self/fd/90",
      locked | (set & (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)),
      path,
    ),
    step("close", [90], "close", path),
  ];
}

export function readOnlyRootSteps(setup: Pick<MountContext, "host">): Step[] {
  return restrictSteps(setup, ROOT, "/", MOUNT_ATTR_RDONLY, 0);
}

/** Makes the working directory where the image has none (C-022, C-024). */
export function workingDirectoryTargetSteps(setup: Pick<MountContext, "resolve">, cwd: string): Step[] {
  // what lies in a kernel file system is not made; entering it tells what is wrong
  if (cwd === "/" || /^\/(proc|sys|dev)(\/|$)/.test(cwd)) return [];
  return [
    ...targetSteps(setup.resolve(cwd), "working directory", { make: "directory" }),
    step("close", [{ result: "working directory" }], "close", cwd),
  ];
}
