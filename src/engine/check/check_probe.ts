/**
 * Finds the facts of `dugout check` by trying: what a version or a sysctl promises is not believed.
 *
 * @module
 */
import * as fs from "node:fs";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import { addressOf, allocate } from "#ffi/mod.ts";
import { readGroupFacts } from "#cgroup/place.ts";
import { findAccount } from "#linux/account.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { errnoName, OsError } from "#linux/errno.ts";
import { AT_FDCWD, AT_REMOVEDIR } from "#linux/file.ts";
import { countIds, type IdMap } from "#linux/idmap.ts";
import { IPPROTO_ICMP } from "#linux/inet.ts";
import { MS_PRIVATE, MS_REC } from "#linux/mount.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
} from "#linux/namespaces.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_DGRAM } from "#linux/socket.ts";
import { SIGNALS } from "#linux/signals.ts";
import { ST_NOEXEC, statFileSystem } from "#linux/statfs.ts";
import { getXattr, setXattr } from "#linux/xattr.ts";
import { SECCOMP_GET_ACTION_AVAIL } from "#linux/seccomp_call.ts";
import { DugoutError } from "#oci/error.ts";
import { findIdentity } from "#runtime/identity.ts";
import { findIdMapPrograms } from "#runtime/idmap_programs.ts";
import { probeHost } from "#runtime/host.ts";
import { ERROR_FD } from "#runtime/map_ids.ts";
import { startInUserNamespace, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "#runtime/user_namespace.ts";
import { ensurePrivateDir } from "#storage/private_dir.ts";
import { openDataRoot } from "#storage/data_root.ts";
import { removePath } from "#storage/remove_tree.ts";
import { failureError, playTape } from "#tape/play.ts";
import { readFailure, waitFor } from "#tape/play_encoded.ts";
import { mark, type Step, step } from "#tape/step.ts";
import { close } from "#linux/file.ts";
import type { FuseFacts, IdentityFacts, MachineFacts, StoreFacts, SysctlFacts, Trial } from "./check_facts.ts";

/**
 * Looks at this machine. Makes a directory of its own below the data directory for the trials, and removes it.
 * @param root The data directory.
 */
export function probeMachine(root: string): MachineFacts {
  const uid = process.getuid!();
  const memfd = tryTape([step("getpid", [], "start", "the player")]);
  const userNamespace = memfd.ok ? tryInside([]) : memfd;
  const namespaces = userNamespace.ok ? tryInside(namespaceSteps()) : userNamespace;
  const folder = openTrialFolder(root);
  try {
    const place = typeof folder === "string" ? folder : undefined;
    return {
      program: fs.realpathSync(process.execPath),
      uid,
      userName: findAccount(uid)?.name,
      kernel: release(),
      insideContainer: isInsideContainer(),
      insideChroot: isInsideChroot(),
      sysctls: readSysctls(),
      memfd,
      userNamespace,
      namespaces,
      proc: !namespaces.ok ? namespaces : tryInside(procSteps(place ?? "/tmp")),
      overlay: !namespaces.ok || place === undefined ? untried(namespaces, folder) : tryOverlay(place),
      identity: probeIdentity(),
      fuse: probeFuse(),
      tun: tryOpen("/dev/net/tun"),
      ping: tryPing(),
      cgroup: readGroupFacts(),
      store: probeStore(root, folder),
      landlockAbi: probeHost().landlockAbi,
      hasSeccomp: probeSeccomp(),
    };
  } finally {
    if (typeof folder === "string") removePath(folder);
  }
}

function untried(namespaces: Trial, folder: string | { problem: string }): Trial {
  if (!namespaces.ok) return namespaces;
  return {
    ok: false,
    what: "making a directory for the trial",
    code: typeof folder === "string" ? "EIO" : folder.problem,
  };
}

/** A directory for trials, or why there can be none. */
function openTrialFolder(root: string): string | { problem: string } {
  try {
    const folder = join(openDataRoot(root), `check-${process.pid}`);
    ensurePrivateDir(folder);
    return folder;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { problem: error.message };
  }
}

/** Plays steps as the caller. */
function tryTape(steps: readonly Step[]): Trial {
  return attempt(() => playTape({ steps, buffers: new Map(), errorFd: ERROR_FD }));
}

/** Plays steps in a user namespace in which the caller is root. */
function tryInside(steps: readonly Step[]): Trial {
  const map: IdMap = {
    uid: [{ inside: 0, outside: process.getuid!(), count: 1 }],
    gid: [{ inside: 0, outside: process.getgid!(), count: 1 }],
  };
  return attempt(() => {
    const tape = {
      steps: [...userNamespaceSteps(map), ...steps],
      buffers: new Map(USER_NAMESPACE_BUFFERS),
      errorFd: ERROR_FD,
    };
    const playing = startInUserNamespace(tape, map, [], { name: "dugout-check" });
    const failure = readFailure(playing.errors);
    close(playing.errors);
    waitFor(playing.pid);
    if (failure !== undefined) throw failureError(tape, failure);
  });
}

function attempt(run: () => void): Trial {
  try {
    run();
    return { ok: true };
  } catch (error) {
    if (error instanceof OsError) return { ok: false, what: `${error.call} ${error.object}`.trim(), code: error.code };
    if (error instanceof DugoutError) return { ok: false, what: error.message, code: error.code };
    throw error;
  }
}

function namespaceSteps(): Step[] {
  return [
    step("unshare", [CLONE_NEWNS], "make", "mount namespace"),
    step("mount", ["none", "/", 0, MS_REC | MS_PRIVATE, 0], "make mounts private at", "/"),
    step("unshare", [CLONE_NEWPID], "make", "pid namespace"),
    step("unshare", [CLONE_NEWNET], "make", "network namespace"),
    step("unshare", [CLONE_NEWIPC], "make", "ipc namespace"),
    step("unshare", [CLONE_NEWUTS], "make", "uts namespace"),
    step("unshare", [CLONE_NEWCGROUP], "make", "cgroup namespace"),
    step("mount", ["none", "/proc", "tmpfs", 0, 0], "mount tmpfs at", "/proc"),
  ];
}

/** A new proc belongs to a pid namespace, which only a child of its maker is in. */
function procSteps(place: string): Step[] {
  return [
    step("unshare", [CLONE_NEWNS | CLONE_NEWPID], "make", "mount and pid namespaces"),
    step("mount", ["none", "/", 0, MS_REC | MS_PRIVATE, 0], "make mounts private at", "/"),
    step("clone", [SIGNALS.CHLD, 0, 0, 0, 0], "fork", "first process", {
      id: "fork",
      jump: { when: "nonzero", to: "parent" },
    }),
    step("mount", ["proc", place, "proc", 0, 0], "mount", "proc"),
    step("exit_group", [0], "leave"),
    mark("parent", "parent"),
    step("wait4", [{ result: "fork" }, 0, 0, 0], "wait for", "first process", { retry: true }),
  ];
}

/** Mounts an overlay and makes a whiteout and an opaque directory in it: on an overlay, NFS or FUSE it is these that fail. */
function tryOverlay(place: string): Trial {
  for (const name of ["lower/directory", "upper", "work", "merged"]) {
    fs.mkdirSync(join(place, name), { recursive: true });
  }
  fs.writeFileSync(join(place, "lower/file"), "");
  const options = "lowerdir=lower,upperdir=upper,workdir=work,userxattr";
  return tryInside([
    step("unshare", [CLONE_NEWNS], "make", "mount namespace"),
    step("mount", ["none", "/", 0, MS_REC | MS_PRIVATE, 0], "make mounts private at", "/"),
    step("chdir", [place], "enter", place),
    step("mount", ["overlay", "merged", "overlay", 0, options], "mount", "overlay"),
    step("unlinkat", [AT_FDCWD, "merged/file", 0], "delete", "a file of a lower layer"),
    step("unlinkat", [AT_FDCWD, "merged/directory", AT_REMOVEDIR], "delete", "a directory of a lower layer"),
    step("mkdirat", [AT_FDCWD, "merged/directory", 0o755], "replace", "a directory of a lower layer"),
  ]);
}

/** `ok`, or the name of the error. */
function tryPing(): string {
  const fd = tryCall("socket", AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) return errnoName(-fd);
  close(fd as Fd);
  return "ok";
}

/** `ok`, or the name of the error. */
function tryOpen(path: string): string {
  try {
    fs.closeSync(fs.openSync(path, "r+"));
    return "ok";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown";
  }
}

function readNumber(path: string): number | undefined {
  const text = readText(path)?.trim();
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function readText(path: string): string | undefined {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function readSysctls(): SysctlFacts {
  return {
    apparmorRestrict: readNumber("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
    usernsClone: readNumber("/proc/sys/kernel/unprivileged_userns_clone"),
    maxUserNamespaces: readNumber("/proc/sys/user/max_user_namespaces"),
    memfdNoexec: readNumber("/proc/sys/vm/memfd_noexec"),
  };
}

/** In a chroot "/" is no mount (proc_pid_mountinfo(5)); unshare(2) gives EPERM there. */
function isInsideChroot(): boolean {
  const mounts = (readText("/proc/self/mountinfo") ?? "").split("\n").filter((line) => line !== "");
  return mounts.length > 0 && mounts.every((line) => line.split(" ")[4] !== "/");
}

function isInsideContainer(): boolean {
  return fs.existsSync("/run/.containerenv") || fs.existsSync("/.dockerenv") ||
    (readText("/proc/1/environ") ?? "").split("\0").some((entry) => entry.startsWith("container="));
}

function probeIdentity(): IdentityFacts {
  const { ranges, reason } = findIdentity();
  const programs = findIdMapPrograms();
  return {
    uidCount: ranges === undefined ? 0 : countIds(ranges.uid),
    gidCount: ranges === undefined ? 0 : countIds(ranges.gid),
    reason,
    freeStart: findFreeStart(["/etc/subuid", "/etc/subgid"].map((path) => readText(path) ?? "")),
    mapProgram: programs === undefined ? undefined : { path: programs.uid, rights: readRights(programs.uid) },
  };
}

/** The first id behind all ranges that somebody has; 100000 where nobody has one, as useradd(8) begins. */
export function findFreeStart(files: readonly string[]): number {
  let start = 100_000;
  for (const line of files.flatMap((text) => text.split("\n"))) {
    const [, first = "", count = ""] = line.split(":");
    if (/^[0-9]{1,10}$/.test(first) && /^[0-9]{1,10}$/.test(count)) {
      start = Math.max(start, Number(first) + Number(count));
    }
  }
  return start;
}

function readRights(path: string): "setuid" | "capability" | "none" {
  const stat = fs.statSync(path, { throwIfNoEntry: false });
  if (stat !== undefined && stat.uid === 0 && (stat.mode & 0o4000) !== 0) return "setuid";
  return withFile(path, (fd) => getXattr(fd, "security.capability")) instanceof Uint8Array ? "capability" : "none";
}

/** Opens a file to read, calls, closes. @returns undefined when it cannot be opened. */
function withFile<T>(path: string, run: (fd: Fd) => T): T | undefined {
  let fd: number;
  try {
    fd = fs.openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    return run(fd as Fd);
  } finally {
    fs.closeSync(fd);
  }
}

function probeFuse(): FuseFacts {
  return { device: tryOpen("/dev/fuse"), overlayProgram: findProgram("fuse-overlayfs") };
}

function findProgram(name: string): string | undefined {
  const places = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"];
  return places.filter((place) => place.startsWith("/")).map((place) => join(place, name)).find((path) =>
    fs.existsSync(path)
  );
}

/** Names of file systems (linux/magic.h), and whether other machines may have them mounted. */
const FILE_SYSTEMS: ReadonlyMap<number, readonly [name: string, isShared: boolean]> = new Map([
  [0xef53, ["ext4", false]],
  [0x58465342, ["xfs", false]],
  [0x9123683e, ["btrfs", false]],
  [0x01021994, ["tmpfs", false]],
  [0x794c7630, ["overlay", false]],
  [0x2fc12fc1, ["zfs", false]],
  [0xf2f52010, ["f2fs", false]],
  [0xca451a4e, ["bcachefs", false]],
  [0x4d44, ["vfat", false]],
  [0x2011bab0, ["exfat", false]],
  [0x65735546, ["FUSE", true]],
  [0x6969, ["NFS", true]],
  [0x517b, ["SMB", true]],
  [0xff534d42, ["CIFS", true]],
  [0xfe534d42, ["SMB", true]],
  [0x5346414f, ["AFS", true]],
  [0x6b414653, ["AFS", true]],
  [0x00c36400, ["Ceph", true]],
  [0x0bd00bd0, ["Lustre", true]],
  [0x47504653, ["GPFS", true]],
  [0x19830326, ["BeeGFS", true]],
  [0x01021997, ["9p", true]],
]);

function probeStore(root: string, folder: string | { problem: string }): StoreFacts {
  if (typeof folder !== "string") {
    return {
      path: root,
      problem: folder.problem,
      fileSystem: "unknown",
      isShared: false,
      isNoexec: false,
      userXattrs: { ok: false, what: "trying", code: "ENOENT" },
      availableBytes: 0,
    };
  }
  const { type, flags, availableBytes } = statFileSystem(folder);
  const [fileSystem, isShared] = FILE_SYSTEMS.get(type) ?? [`0x${type.toString(16)}`, false];
  const result = withFile(folder, (fd) => setXattr(fd, "user.dugout.check", new Uint8Array([0x79]))) ?? -1;
  return {
    path: root,
    problem: undefined,
    fileSystem,
    isShared,
    isNoexec: (flags & ST_NOEXEC) !== 0,
    userXattrs: result >= 0 ? { ok: true } : { ok: false, what: "setting a user attribute", code: errnoName(-result) },
    availableBytes,
  };
}

/** seccomp(2): asks whether filters may answer with an errno, which all of ours do. */
function probeSeccomp(): boolean {
  const SECCOMP_RET_ERRNO = 0x00050000;
  const action = allocate(4);
  new DataView(action.buffer).setUint32(0, SECCOMP_RET_ERRNO, true);
  return tryCall("seccomp", SECCOMP_GET_ACTION_AVAIL, 0, addressOf(action)) === 0;
}
