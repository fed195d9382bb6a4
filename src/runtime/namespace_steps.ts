/**
 * The container's namespaces: the user namespace first, those that only children enter, then the others.
 *
 * @module
 */
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "#linux/file.ts";
import { SIOCSIFFLAGS } from "#linux/ioctl.ts";
import { type IdMap, outsideId } from "#linux/idmap.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "#linux/namespaces.ts";
import { MNT_DETACH, MS_PRIVATE, MS_REC, MS_SLAVE } from "#linux/mount.ts";
import type { NamespaceType, RuntimeSpec } from "#oci/runtime_spec.ts";
import { operate, type Step, step } from "#tape/step.ts";
import { attachNetworkSteps, childUserNamespaceSteps } from "./attach_steps.ts";
import { place } from "./mount_steps.ts";
import { fuseMessageSteps, fuseSteps } from "./rootfs_steps.ts";
import type { ContainerSetup } from "./setup.ts";
import { type HeldNamespace, joinHeldSteps } from "./map_ids_steps.ts";
import { userNamespaceSteps } from "./user_namespace.ts";

/** The CLONE_NEW* flag of each kind. */
export const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, number>> = {
  user: CLONE_NEWUSER,
  mount: CLONE_NEWNS,
  pid: CLONE_NEWPID,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  network: CLONE_NEWNET,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

/** Whether the namespace is a new one, one to join (its file), or the caller's. */
export function namespaceOf(spec: RuntimeSpec, type: NamespaceType): "new" | "host" | { path: string } {
  const found = spec.linux?.namespaces?.find((namespace) => namespace.type === type);
  if (found === undefined) return "host";
  return found.path === undefined ? "new" : { path: found.path };
}

function joinSteps(type: NamespaceType, path: string): Step[] {
  const id = `namespace ${type}`;
  return [
    step("openat", [AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0], `open ${type} namespace`, path, { id }),
    step("setns", [{ result: id }, NAMESPACE_FLAGS[type]], `join ${type} namespace`, path, {
      hints: { EPERM: "it belongs to another user namespace", EINVAL: "it is the one that the process is in already" },
    }),
    step("close", [{ result: id }], `close ${type} namespace`, path),
  ];
}

/** The file of the user namespace that the monitor joins, if it does not make one. */
export function joinedUserNamespace(setup: ContainerSetup): string | undefined {
  const user = namespaceOf(setup.spec, "user");
  return typeof user === "object" ? user.path : setup.parent?.file;
}

/** The map of the user namespace that the monitor makes, or joins by another way than a file. */
export function monitorMap({ map, parent }: ContainerSetup): IdMap {
  return parent?.map ?? map;
}

/**
 * The user namespace. The process has all rights in it, and is still the caller, whatever that is called inside.
 * @param extras What is done while ids are mapped, and the namespace where another process holds it.
 */
export function enterUserNamespaceSteps(
  setup: ContainerSetup,
  extras?: { readonly meanwhile: readonly Step[]; readonly held: HeldNamespace | undefined },
): Step[] {
  const held = extras?.held;
  // with a namespace of its own in another one there is something else to wait for: nest_steps.ts
  const meanwhile = setup.parent === undefined ? extras?.meanwhile ?? [] : [];
  const joined = joinedUserNamespace(setup);
  if (setup.attachment !== undefined) {
    return childUserNamespaceSteps(setup.attachment, { map: setup.map, joined }, meanwhile);
  }
  if (joined !== undefined) return [...meanwhile, ...joinSteps("user", joined)];
  return held === undefined ? userNamespaceSteps(monitorMap(setup), meanwhile) : joinHeldSteps(held, meanwhile);
}

/**
 * From the caller to root, where there is one. What only the caller may reach on the host is open by then: a home of mode
 * 0700 whose group is not mapped is closed to the container's root, as is all that is the caller's where they have no id.
 */
export function becomeRootSteps({ uid, gid }: { readonly uid: number; readonly gid: number }): Step[] {
  return [
    step("setresgid", [gid, gid, gid], "become group", String(gid)),
    step("setresuid", [uid, uid, uid], "become user", String(uid)),
  ];
}

/** Root's ids where they are mapped, else those that are. */
export function rootIds({ uid, gid }: IdMap): { uid: number; gid: number } {
  const zeroOrOnly = (ranges: IdMap["uid"]) => outsideId(ranges, 0) === undefined ? ranges[0]!.inside : 0;
  return { uid: zeroOrOnly(uid), gid: zeroOrOnly(gid) };
}

/** The mount namespace of a FUSE server, and the server. */
export function fuseNamespaceSteps(setup: ContainerSetup): Step[] {
  const steps: Step[] = [];
  if (setup.rootfs.kind === "fuse-overlayfs") {
    steps.push(
      step("unshare", [CLONE_NEWNS], "make", "mount namespace of fuse-overlayfs"),
      step("mount", ["none", "/", 0, MS_REC | MS_SLAVE, 0], "make mounts follow the host's at", "/"),
      ...fuseSteps(setup.rootfs, becomeRootSteps(rootIds(setup.map)), setup.preserved?.error),
      step("wait4", [{ result: "fuse fork" }, { buffer: "status" }, 0, 0], "wait for", "fuse-overlayfs", {
        retry: true,
      }),
      operate("load", [{ buffer: "status" }, 0, 4], "how it ended", {
        id: "fuse status",
        jump: { when: "zero", to: "fuse up" },
      }),
      ...fuseMessageSteps(),
      operate("fail", [5], "start fuse-overlayfs for", {
        object: setup.rootfs.merged,
        hints: { EIO: "its own message stands above; it needs /dev/fuse to be open for users (mode 0666)" },
      }),
      place("fuse up", "fuse-overlayfs serves"),
    );
  }
  return steps;
}

/** Namespaces that only children enter. A process with such children can have no threads any more. */
export function childNamespaceSteps(setup: ContainerSetup): Step[] {
  const steps: Step[] = [];
  const flags = (["pid", "time"] as const).reduce(
    (sum, type) => namespaceOf(setup.spec, type) === "new" ? sum | NAMESPACE_FLAGS[type] : sum,
    0,
  );
  if (flags !== 0) {
    steps.push(
      step("unshare", [flags], "make", "pid namespace", {
        hints: { ENOSPC: "the limit of pid namespaces is reached (sysctl user.max_pid_namespaces)" },
      }),
    );
  }
  const pid = namespaceOf(setup.spec, "pid");
  if (typeof pid === "object") steps.push(...joinSteps("pid", pid.path));
  return steps;
}

export function unmountFuse(merged: string): Step {
  return step("umount2", [merged, MNT_DETACH], "unmount", merged, { ignore: true });
}

export function innerNamespaceSteps(setup: ContainerSetup): Step[] {
  const { spec } = setup;
  const steps: Step[] = [];
  let flags = CLONE_NEWNS;
  for (const type of ["ipc", "uts", "network", "cgroup"] as const) {
    const namespace = namespaceOf(spec, type);
    if (namespace === "new") flags |= NAMESPACE_FLAGS[type];
    if (typeof namespace === "object") steps.push(...joinSteps(type, namespace.path));
  }
  steps.push(
    step("unshare", [flags], "make", "the other namespaces", {
      hints: { ENOSPC: "a limit of namespaces is reached (sysctl user.max_*_namespaces)" },
    }),
    // what the host mounts later may come in where a bind asks for it; what we mount never goes out
    step(
      "mount",
      [
        "none",
        "/",
        0,
        MS_REC |
        (spec.linux?.rootfsPropagation === "slave" || spec.linux?.rootfsPropagation === "shared"
          ? MS_SLAVE
          : MS_PRIVATE),
        0,
      ],
      "cut mounts off the host's at",
      "/",
    ),
  );
  if (namespaceOf(spec, "network") === "new") steps.push(...loopbackSteps());
  if (setup.attachment !== undefined) steps.push(...attachNetworkSteps(setup.attachment));
  if (spec.hostname !== undefined && namespaceOf(spec, "uts") !== "host") {
    steps.push(step("sethostname", [spec.hostname, byteLength(spec.hostname)], "set host name", spec.hostname));
  }
  if (spec.domainname !== undefined && namespaceOf(spec, "uts") !== "host") {
    steps.push(
      step("setdomainname", [spec.domainname, byteLength(spec.domainname)], "set domain name", spec.domainname),
    );
  }
  return steps;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Brings up `lo` of a new network namespace. */
export function loopbackSteps(): Step[] {
  const [AF_INET, SOCK_DGRAM_CLOEXEC, IFF_UP] = [2, 2 | 0o2000000, 1];
  // struct ifreq: name (16 bytes), flags (u16)
  const request = new Uint8Array(40);
  request.set([0x6c, 0x6f]);
  request[16] = IFF_UP;
  return [
    step("socket", [AF_INET, SOCK_DGRAM_CLOEXEC, 0], "open", "a socket for settings", { id: "settings" }),
    step("ioctl", [{ result: "settings" }, SIOCSIFFLAGS, request], "bring up", "lo"),
    step("close", [{ result: "settings" }], "close", "the socket"),
  ];
}
