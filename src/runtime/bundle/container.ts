/**
 * From a bundle's specification to the tape that makes its container. Pure: nothing happens here.
 *
 * Two processes play it:
 *
 *     maker     joins namespaces, makes the user namespace; forks the container's first process and tells its pid; is gone,
 *               or with `run` waits and tells the end                                                    (host's view)
 *       └ init  the other namespaces, mounts, devices; tells that it is set up and waits for hooks; root, ids, rights;
 *               waits at the gate, or not; the program                                                   (process 1)
 *
 * @module
 */
import { MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, MS_MOVE } from "#linux/mount.ts";
import { SIGNALS } from "#linux/signals.ts";
import { DugoutError } from "#oci/error.ts";
import { operate, type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { maskSteps, readOnlySteps } from "../mask_steps.ts";
import { mountId, openMountSourcesSteps } from "../mount_source_steps.ts";
import { place } from "../mount_steps.ts";
import { oomScoreSteps } from "../oom_score_steps.ts";
import { blockSignalsStep, closeAllBut, forkSteps } from "../monitor_steps.ts";
import { deathSignalSteps, execErrnoBytes } from "../process_steps.ts";
import { openRootfsSteps, pivotSteps } from "../rootfs_steps.ts";
import { kernelSettingSteps, type Setting } from "../setting_steps.ts";
import { REPORT_FD, requireProcess } from "../setup.ts";
import {
  isKernelProc,
  readOnlyRootSteps,
  restrictSteps,
  specMountSteps,
  workingDirectoryTargetSteps,
} from "../spec_mount_steps.ts";
import { ROOT } from "../target_steps.ts";
import { consoleControl, consoleSteps, openTerminalSteps, sendTerminalSteps } from "../terminal_steps.ts";
import { USER_NAMESPACE_BUFFERS } from "../user_namespace.ts";
import { closesNodes, deviceSteps, hasOwnDevices } from "./device_steps.ts";
import { HOOK_BUFFERS, hookSteps } from "./hook_steps.ts";
import {
  childNamespaceSteps,
  innerNamespaceSteps,
  joinSteps,
  ownUserNamespaceSteps,
  propagationSteps,
} from "./namespace_steps.ts";
import { bundleProcessSteps } from "./process_steps.ts";
import { type BundleSetup, GO_ON_FD, HOOK_STATE_FD, SET_UP_FD } from "./setup.ts";

const EXIT_LOST = 125;

/**
 * Plans the container of a bundle.
 * @throws {DugoutError} CONFIG_INVALID for what contradicts itself.
 */
export function planBundle(setup: BundleSetup): Tape {
  const { spec, fds, start } = setup;
  const process = requireProcess(spec);
  const hooks = spec.hooks ?? {};
  const deathSignal = start.kind === "foreground" ? SIGNALS.KILL : undefined;
  const startHooks = hooks.startContainer ?? [];
  const gated = start.kind === "create";
  const steps: Step[] = [
    blockSignalsStep(),
    ...deathSignalSteps({ deathSignal }, "the command"),
    ...oomScoreSteps(process.oomScoreAdj),
    ...joinSteps(spec),
    ...ownUserNamespaceSteps(setup.userNamespace),
    ...childNamespaceSteps(spec),
    ...forkSteps("container"),
    ...(start.kind === "foreground" ? stayStepsOf() : leaveSteps()),

    place("container", "the container's first process"),
    // the maker's last descriptors of these would keep the command waiting for one that died
    ...deathSignalSteps({ deathSignal }, "the monitor"),
    step("setsid", [], "lead", "a new session"),
    step("umask", [0], "clear", "umask"),
    // before it makes a control group namespace, whose root the group becomes
    ...(setup.entersGroup ? meetSteps("its control group") : []),
    ...innerNamespaceSteps(setup),
    ...openRootfsSteps({ kind: "directory", path: setup.rootPath }),
    ...openMountSourcesSteps(setup),
    ...becomeRootSteps(setup),
    ...mountsSteps(setup),
    ...deviceSteps(setup),
    ...(process.terminal ? terminalSteps(setup) : []),
    ...workingDirectoryTargetSteps(setup, process.cwd),
    ...meetSteps("hooks outside"),
    ...hookSteps("create the container", hooks.createContainer ?? [], HOOK_STATE_FD, fds.error),
    ...maskSteps(spec.linux?.maskedPaths ?? [], () => undefined),
    ...readOnlySteps(
      spec.linux?.readonlyPaths ?? [],
      (id, path) => restrictSteps(setup, id, path, MOUNT_ATTR_RDONLY, 0),
    ),
    ...(spec.root?.readonly ? readOnlyRootSteps(setup) : []),
    ...(closesNodes(setup) ? restrictSteps(setup, ROOT, "/", MOUNT_ATTR_NODEV, 0) : []),
    ...(setup.pivots ? pivotSteps() : moveRootSteps()),
    ...propagationSteps(spec),
    step("umask", [process.user.umask ?? 0o022], "set", "umask"),
    ...bundleProcessSteps({
      process,
      personality: spec.linux?.personality,
      lastCapability: setup.host.lastCapability,
      setsGroups: setup.setsGroups,
      filter: setup.filter,
      fds,
      newKeyring: setup.newKeyring,
      deathSignal,
      gate: gated ? { hooks: startHooks } : undefined,
      hooks: gated ? [] : startHooks,
    }),
  ];
  return { steps, buffers: buffersOf(), errorFd: fds.error };
}

function buffersOf(): Map<string, TapeBuffer> {
  return new Map<string, TapeBuffer>([
    ...USER_NAMESPACE_BUFFERS,
    ...HOOK_BUFFERS,
    ["pid", { sizeBytes: 8 }],
    ["status", { sizeBytes: 8 }],
    ["cwd", { sizeBytes: 4096 }],
    ["exec errno", { sizeBytes: 8, bytes: execErrnoBytes() }],
    ["console control", { sizeBytes: 24, bytes: consoleControl() }],
  ]);
}

/** Tells the pid and is gone: the first process is a child of whoever looks after orphans. */
function leaveSteps(): Step[] {
  return [
    operate("store", [{ buffer: "pid" }, { result: "init" }, 4], "note the pid"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid"),
    step("exit_group", [0], "end", "the maker"),
  ];
}

/** Tells the pid, waits and tells the end. */
function stayStepsOf(): Step[] {
  return [
    operate("store", [{ buffer: "pid" }, { result: "init" }, 4], "note the pid"),
    step("write", [REPORT_FD, { buffer: "pid" }, 4], "tell", "the pid"),
    // the streams, and the pipes by which the first process talks, are its own
    ...closeAllBut([REPORT_FD]).map((closing) => ({ ...closing, ignore: true })),
    step("wait4", [{ result: "init" }, { buffer: "status" }, 0, 0], "wait for", "the container", { retry: true }),
    step("write", [REPORT_FD, { buffer: "status" }, 4], "tell", "the end", { ignore: true }),
    step("exit_group", [0], "end", "the monitor"),
  ];
}

/** Becomes root of the user namespace, where it is one that the caller has another id in. */
function becomeRootSteps({ userNamespace }: BundleSetup): Step[] {
  if (userNamespace.kind === "host") return [];
  return [
    step("setresgid", [0, 0, 0], "become group", "0", { hints: ROOT_HINTS }),
    step("setresuid", [0, 0, 0], "become user", "0", { hints: ROOT_HINTS }),
  ];
}

const ROOT_HINTS = { EINVAL: "the user namespace has no root: map an id to containerID 0" };

/** The specification's mounts, in its order; settings below /proc before anything can lie over them. */
function mountsSteps(setup: BundleSetup): Step[] {
  const mounts = setup.spec.mounts ?? [];
  const settings = [...setup.spec.linux?.sysctl ?? []].map(([key, value]): Setting => [
    `sys/${key.replaceAll(".", "/")}`,
    value,
  ]);
  const proc = mounts.findIndex(isKernelProc);
  if (settings.length > 0 && proc < 0) {
    throw new DugoutError("CONFIG_INVALID", "Cannot use config.json: linux.sysctl: nothing mounts proc at /proc");
  }
  return mounts.flatMap((mount, index) => [
    ...specMountSteps(setup, mount, mountId(index)),
    ...(index === proc ? kernelSettingSteps(settings) : []),
  ]);
}

function terminalSteps({ spec }: BundleSetup): Step[] {
  const process = requireProcess(spec);
  if (!(spec.mounts ?? []).some(({ type }) => type === "devpts")) {
    throw new DugoutError("CONFIG_INVALID", "Cannot use config.json: process.terminal: nothing mounts a devpts");
  }
  const { height, width } = process.consoleSize ?? { height: 0, width: 0 };
  return [
    ...openTerminalSteps({ rows: height, columns: width }, { uid: process.user.uid, gid: process.user.gid }),
    ...sendTerminalSteps(),
    ...(hasOwnDevices(spec) ? consoleSteps() : []),
  ];
}

/** Tells that it has come so far, and waits until what is done outside then is done. */
export function meetSteps(what: string): Step[] {
  return [
    step("write", [SET_UP_FD, "s", 1], "tell that it waits for", what),
    step("read", [GO_ON_FD, { buffer: "go" }, 1], "wait for", what, {
      retry: true,
      jump: { when: "nonzero", to: `${what} is done` },
    }),
    // end of file: the command is gone, and nobody knows of the container
    step("exit_group", [EXIT_LOST], "leave", ""),
    place(`${what} is done`, `${what}: done`),
  ];
}

/** The root is moved to where the machine's is: on a ramfs, from which there is no pivoting. */
function moveRootSteps(): Step[] {
  return [
    step("fchdir", [{ result: ROOT }], "enter", "the container's root"),
    step("mount", [".", "/", 0, MS_MOVE, 0], "move to /", "the container's root"),
    step("chroot", ["."], "change root to", "the container's root"),
    step("chdir", ["/"], "enter", "/"),
  ];
}
