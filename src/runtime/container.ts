/**
 * From what is asked for to the tape that does it. Pure: nothing happens here.
 *
 * The tape is played by three processes, one after the other forked:
 *
 *     monitor     user namespace, ids; forks copiers and the container; waits, writes the exit record    (host's view)
 *       └ init    other namespaces, root file system, mounts, limits, ids, filter; executes the program  (process 1)
 *           └     with --init the program is a child of it
 *
 * @module
 */
import { capabilityNumber } from "#linux/capabilities.ts";
import {
  AT_FDCWD,
  O_CLOEXEC,
  O_RDONLY,
  O_WRONLY,
  OPEN_HOW,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
} from "#linux/file.ts";
import { SIOCSIFFLAGS } from "#linux/ioctl.ts";
import { isSingle, outsideId } from "#linux/idmap.ts";
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
import {
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_SIZE,
  mountAttr,
  MS_PRIVATE,
  MS_REC,
  MS_SLAVE,
} from "#linux/mount.ts";
import { PR_SET_DUMPABLE, PR_SET_PDEATHSIG } from "#linux/prctl.ts";
import { parseRlimitName, rlimitNumber } from "#linux/rlimits.ts";
import { DugoutError } from "#oci/error.ts";
import type { MountSpec, NamespaceType, ProcessSpec, RuntimeSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import { operate, type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { deviceSteps } from "./device_steps.ts";
import { maskSteps, readOnlySteps } from "./mask_steps.ts";
import { parseMountOptions } from "./mount_options.ts";
import { attachPartSteps, bindBeneathSteps, lowerOverlaySteps } from "./beneath_steps.ts";
import {
  attachSteps,
  type BindOptions,
  bindSteps,
  fileSystemSteps,
  place,
  remountReadOnlyStep,
} from "./mount_steps.ts";
import {
  blockSignalsStep,
  forkSteps,
  reaperSteps,
  RELAY_BYTES,
  relaySteps,
  unblockSignalsStep,
  waitSteps,
} from "./monitor_steps.ts";
import {
  boundingSteps,
  capabilityStep,
  clearAmbientStep,
  execErrnoBytes,
  executeSteps,
  filterStep,
  keyringSteps,
  limitSteps,
  noNewPrivilegesStep,
  scopeSteps,
  userSteps,
  workingDirectorySteps,
} from "./process_steps.ts";
import { fuseMessageSteps, fuseSteps, pivotSteps, rootfsSteps } from "./rootfs_steps.ts";
import type { ContainerSetup } from "./setup.ts";
import { openHow, ROOT, targetSteps } from "./target_steps.ts";
import { consoleControl, controllingTerminalStep, openTerminalSteps, useTerminalSteps } from "./terminal_steps.ts";
import { ERROR_FD, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "./user_namespace.ts";

/** The group that owns terminals in every distribution. */
const TTY_GROUP = 5;
const LANDLOCK_SCOPES_ABI = 6;

const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, number>> = {
  user: CLONE_NEWUSER,
  mount: CLONE_NEWNS,
  pid: CLONE_NEWPID,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  network: CLONE_NEWNET,
  cgroup: CLONE_NEWCGROUP,
  time: CLONE_NEWTIME,
};

/**
 * Plans a container.
 * @throws {RangeError} When the image has more layers than can be mounted.
 */
export function planContainer(setup: ContainerSetup): Tape {
  const { spec } = setup;
  const process = requireProcess(spec);
  const relays = setup.stdio.kind === "inherit" ? setup.stdio.relays : [];
  const steps: Step[] = [
    blockSignalsStep(),
    ...deathSignalSteps(setup),
    ...enterUserNamespaceSteps(setup),
    ...relaySteps(relays),
    ...outerNamespaceSteps(setup),
    ...forkSteps("container"),
    ...waitSteps(relays, setup.rootfs.kind === "fuse-overlayfs" ? [unmountFuse(setup.rootfs.merged)] : []),

    place("container", "the container's first process"),
    ...(setup.deathSignal === undefined
      ? []
      : [step("prctl", [PR_SET_PDEATHSIG, setup.deathSignal, 0, 0, 0], "die with", "the monitor")]),
    // no terminal of the caller's is the controlling one
    step("setsid", [], "lead", "a new session"),
    step("umask", [0], "clear", "umask"),
    ...innerNamespaceSteps(setup),
    ...rootfsSteps(setup.rootfs, { uid: rootOrOnly(setup.map.uid), gid: rootOrOnly(setup.map.gid) }),
    ...mountsSteps(setup),
    ...workingDirectoryTargetSteps(setup, process.cwd),
    ...maskSteps(spec.linux?.maskedPaths ?? [], setup.maskKind),
    ...readOnlySteps(
      spec.linux?.readonlyPaths ?? [],
      (id, path) => restrictSteps(setup, id, path, MOUNT_ATTR_RDONLY, 0),
    ),
    ...(spec.root?.readonly ? readOnlyRootSteps(setup) : []),
    ...pivotSteps(),
    step("umask", [process.user.umask ?? 0o022], "set", "umask"),
    ...processSteps(setup, process),
  ];
  return { steps, buffers: buffersOf(setup), errorFd: ERROR_FD };
}

function requireProcess(spec: RuntimeSpec): ProcessSpec {
  if (spec.process === undefined) throw new RangeError("Container has no process");
  return spec.process;
}

function buffersOf(setup: ContainerSetup): Map<string, TapeBuffer> {
  const buffers = new Map<string, TapeBuffer>(USER_NAMESPACE_BUFFERS);
  buffers.set("pid", { sizeBytes: 8 });
  buffers.set("status", { sizeBytes: 8 });
  buffers.set("cwd", { sizeBytes: 4096 });
  buffers.set("exec errno", { sizeBytes: 8, bytes: execErrnoBytes() });
  if (setup.init) buffers.set("reaped", { sizeBytes: 8 });
  if (setup.stdio.kind === "terminal") buffers.set("console control", { sizeBytes: 24, bytes: consoleControl() });
  else if (setup.stdio.relays.length > 0) buffers.set("relay", { sizeBytes: RELAY_BYTES });
  return buffers;
}

function deathSignalSteps(setup: ContainerSetup): Step[] {
  if (setup.deathSignal === undefined) return [];
  return [step("prctl", [PR_SET_PDEATHSIG, setup.deathSignal, 0, 0, 0], "die with", "the engine")];
}

/** Whether the namespace is a new one, one to join (its file), or the caller's. */
function namespaceOf(spec: RuntimeSpec, type: NamespaceType): "new" | "host" | { path: string } {
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

/** The file of the user namespace that is joined, if it is not made. */
export function joinedUserNamespace(setup: ContainerSetup): string | undefined {
  const user = namespaceOf(setup.spec, "user");
  return typeof user === "object" ? user.path : setup.userNamespace;
}

/** The user namespace, and being root in it where it has a root. */
function enterUserNamespaceSteps(setup: ContainerSetup): Step[] {
  const joined = joinedUserNamespace(setup);
  const enter = joined === undefined ? userNamespaceSteps(setup.map) : joinSteps("user", joined);
  const uid = rootOrOnly(setup.map.uid);
  const gid = rootOrOnly(setup.map.gid);
  return [
    ...enter,
    step("setresgid", [gid, gid, gid], "become group", String(gid)),
    step("setresuid", [uid, uid, uid], "become user", String(uid)),
  ];
}

/** Id 0 if it is mapped, else the one that is. */
function rootOrOnly(ranges: ContainerSetup["map"]["uid"]): number {
  return outsideId(ranges, 0) === undefined ? ranges[0]!.inside : 0;
}

/** Namespaces that only children enter, and the mount namespace of a FUSE server. */
function outerNamespaceSteps(setup: ContainerSetup): Step[] {
  const steps: Step[] = [];
  if (setup.rootfs.kind === "fuse-overlayfs") {
    steps.push(
      step("unshare", [CLONE_NEWNS], "make", "mount namespace of fuse-overlayfs"),
      step("mount", ["none", "/", 0, MS_REC | MS_SLAVE, 0], "make mounts follow the host's at", "/"),
      ...fuseSteps(setup.rootfs),
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

function unmountFuse(merged: string): Step {
  return step("umount2", [merged, MNT_DETACH], "unmount", merged, { ignore: true });
}

function innerNamespaceSteps(setup: ContainerSetup): Step[] {
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
function loopbackSteps(): Step[] {
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

/** All mounts of the specification, in its order; /dev with its nodes, the terminal behind /dev/pts, settings in /proc. */
function mountsSteps(setup: ContainerSetup): Step[] {
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
    const id = `mount ${index}`;
    if (mount.destination === "/dev" && mount.type === "tmpfs") {
      const size = parseMountOptions(mount.options ?? []).data.find(([key]) => key === "size")?.[1];
      return deviceSteps(size ?? "64m");
    }
    const steps = mountSteps(setup, mount, id);
    if (mount.type === "devpts" && setup.stdio.kind === "terminal") steps.push(...terminalSteps(setup));
    // before anything can be mounted over a part of it
    if (index === proc) steps.push(...kernelSettingSteps(settings));
    return steps;
  });
}

function isKernelProc({ destination, type, source }: MountSpec): boolean {
  return destination === "/proc" && (type === "proc" || (type === "bind" && source === "/proc"));
}

function terminalSteps(setup: ContainerSetup): Step[] {
  const process = requireProcess(setup.spec);
  const size = process.consoleSize ?? { height: 24, width: 80 };
  const group = outsideId(setup.map.gid, TTY_GROUP) === undefined ? process.user.gid : TTY_GROUP;
  return openTerminalSteps({ rows: size.height, columns: size.width }, { uid: process.user.uid, gid: group });
}

/** One mount of the specification (runtime-spec, config.md, "Mounts"). */
function mountSteps(setup: ContainerSetup, mount: MountSpec, id: string): Step[] {
  const options = parseMountOptions(mount.options ?? []);
  const object = mount.destination;
  const kernel = ["/proc", "/sys", "/dev"].some((path) => object === path || object.startsWith(`${path}/`));
  const destination = kernel ? object : setup.resolve(object);
  const isOverlay = mount.type === "overlay" && options.lowers.length > 0;
  if (options.bind || mount.type === "bind" || isOverlay) {
    const source = mount.source ?? "";
    const where = { path: destination, noLinks: kernel };
    const mayRestrict = setup.host.mountSetattr;
    const bind: BindOptions = {
      recursive: options.recursive,
      set: mayRestrict ? options.set : 0,
      recursiveAttributes: options.recursiveAttributes,
      propagation: mayRestrict ? options.propagation : undefined,
    };
    return [
      ...(isOverlay ? lowerOverlaySteps(`${id} lower`, options.lowers, source) : []),
      ...(options.subpath === undefined
        ? bindSteps(id, source, undefined, bind)
        : bindBeneathSteps(id, source, options.subpath, bind)),
      ...(isOverlay ? [step("umount2", [source, MNT_DETACH], "let go of", source)] : []),
      ...(options.subpath === undefined
        ? attachSteps(id, { ...where, make: isOverlay ? "directory" : setup.sourceKind(source) })
        : attachPartSteps(id, where)),
      ...(mayRestrict || options.set === 0
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
    options.data,
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
function restrictSteps(setup: ContainerSetup, id: string, path: string, set: number, locked: number): Step[] {
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

function readOnlyRootSteps(setup: ContainerSetup): Step[] {
  return restrictSteps(setup, ROOT, "/", MOUNT_ATTR_RDONLY, 0);
}

/** Makes the working directory where the image has none (C-022, C-024). */
function workingDirectoryTargetSteps(setup: ContainerSetup, cwd: string): Step[] {
  // what lies in a kernel file system is not made; entering it tells what is wrong
  if (cwd === "/" || /^\/(proc|sys|dev)(\/|$)/.test(cwd)) return [];
  return [
    ...targetSteps(setup.resolve(cwd), "working directory", { make: "directory" }),
    step("close", [{ result: "working directory" }], "close", cwd),
  ];
}

type Setting = [path: string, value: string];

/** What is to be written to files below /proc. */
function kernelSettings({ spec }: ContainerSetup): Setting[] {
  const writes: Setting[] = [];
  for (const [key, value] of spec.linux?.sysctl ?? []) writes.push([`sys/${key.replaceAll(".", "/")}`, value]);
  const score = spec.process?.oomScoreAdj;
  if (score !== undefined) writes.push(["self/oom_score_adj", String(score)]);
  return writes;
}

/** Writes settings by a descriptor of the fresh /proc. */
function kernelSettingSteps(writes: readonly Setting[]): Step[] {
  if (writes.length === 0) return [];
  const steps = targetSteps("/proc", "proc", { make: undefined, noLinks: true });
  for (const [path, value] of writes) {
    steps.push(
      step(
        "openat2",
        [
          { result: "proc" },
          path,
          openHow(O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS),
          OPEN_HOW.SIZE,
        ],
        "open setting",
        path,
        {
          id: path,
          hints: {
            ENOENT: "this kernel has no such setting in the container's namespaces",
            EACCES: "a user namespace may not change it",
          },
        },
      ),
      step("write", [{ result: path }, value, byteLength(value)], `write ${value} to`, path, {
        hints: {
          EINVAL: "the kernel does not take this value",
          EPERM: "a user namespace may not change it",
          EACCES: "without root it can only be raised",
        },
      }),
      step("close", [{ result: path }], "close setting", path),
    );
  }
  return steps;
}

function capabilityBits(names: readonly string[] | undefined): bigint {
  return (names ?? []).reduce((set, name) => {
    const number = capabilityNumber(name);
    return number === undefined ? set : set | 1n << BigInt(number);
  }, 0n);
}

/** From the new root to the program. */
function processSteps(setup: ContainerSetup, process: ProcessSpec): Step[] {
  const { host, spec } = setup;
  const known = (1n << BigInt(host.lastCapability + 1)) - 1n;
  const sets = process.capabilities ?? {};
  const bounding = capabilityBits(sets.bounding) & known;
  // mostly one list: to read it takes half a millisecond in a process that has just started
  const permitted = (sets.permitted === sets.bounding ? bounding : capabilityBits(sets.permitted)) & bounding;
  const effective = (sets.effective === sets.permitted ? permitted : capabilityBits(sets.effective)) & permitted;
  const { uid, gid, additionalGids } = process.user;
  // without subordinate ids the kernel forbids setgroups, and there is no other id to become
  const single = isSingle(setup.map);
  const groups = single || setup.keepGroups ? undefined : additionalGids ?? [];
  const filter = setup.filter === undefined ? [] : [filterStep(setup.filter)];
  const shared = host.landlockAbi >= LANDLOCK_SCOPES_ABI
    ? scopeSteps(namespaceOf(spec, "network") === "host", namespaceOf(spec, "pid") === "host")
    : [];
  const limits = (process.rlimits ?? []).map(({ type, soft, hard }) => ({
    number: rlimitNumber(parseRlimitName(type.replace("RLIMIT_", ""))!),
    name: type,
    soft,
    hard,
  }));
  return [
    ...limitSteps(limits),
    ...keyringSteps(!setup.filterHidesKeys),
    ...(setup.stdio.kind === "terminal" ? useTerminalSteps() : []),
    // with --init the program's session has it
    ...(setup.stdio.kind === "terminal" && !setup.init ? [controllingTerminalStep()] : []),
    // nothing of ours is open in the container but the error pipe, until the program runs
    step("fcntl", [ERROR_FD, 2, 1], "close on exec", "the error pipe"),
    step("close_range", [3, ERROR_FD - 1, 0], "close", "descriptor 3"),
    step("close_range", [ERROR_FD + 1, 0xffffffff, 0], "close", "descriptors above it"),
    step("prctl", [PR_SET_DUMPABLE, 0, 0, 0, 0], "be closed to", "ptrace"),
    ...workingDirectorySteps(process.cwd),
    ...boundingSteps(bounding, host.lastCapability),
    ...userSteps(uid, gid, groups),
    ...(uid === 0 ? [] : [capabilityStep(known, known, "all, once more, after the change of user")]),
    ...shared,
    ...(process.noNewPrivileges ? [noNewPrivilegesStep()] : []),
    ...filter,
    clearAmbientStep(),
    capabilityStep(effective, permitted, "of the program"),
    ...(setup.init ? initSteps(setup) : []),
    unblockSignalsStep(),
    ...executeSteps(process.args ?? [], process.env ?? []),
  ];
}

/** Process 1 becomes the reaper, restricted as the program is; the program is its child and leads its session. */
function initSteps(setup: ContainerSetup): Step[] {
  return [
    ...reaperSteps("program child"),
    place("program child", "the program"),
    step("setsid", [], "lead", "a new session"),
    ...(setup.stdio.kind === "terminal" ? [controllingTerminalStep()] : []),
  ];
}
