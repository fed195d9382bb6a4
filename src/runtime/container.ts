/**
 * From what is asked for to the tape that does it. Pure: nothing happens here.
 *
 * The tape is played by three processes, one after the other forked:
 *
 *     monitor     user namespace; forks copiers and the container; waits, writes the exit record         (host's view),
 *                 or goes on with a tape of its own, where output is kept (monitor_tape.ts)
 *       └ init    other namespaces; opens what is on the host, as the caller; then as the container's root: root file
 *                 system, mounts, limits, ids, filter; executes the program                              (process 1)
 *           └     with --init the program is a child of it
 *
 * @module
 */
import { MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY } from "#linux/mount.ts";
import { type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { attachBuffers, leaveHelperSteps } from "./attach_steps.ts";
import { GROUP_BUFFERS, joinGroupSteps } from "./group_steps.ts";
import { maskSteps, readOnlySteps } from "./mask_steps.ts";
import { place } from "./mount_steps.ts";
import { betweenSteps, FORK_BETWEEN_BUFFERS, forkBetweenSteps } from "./fork_between_steps.ts";
import { handOverBuffers, handOverSteps } from "./hand_over_steps.ts";
import { blockSignalsStep, forkSteps, lostSteps, relaySteps, waitSteps } from "./monitor_steps.ts";
import { affinitySteps, deathSignalSteps, execErrnoBytes, keepCapabilitiesSteps } from "./process_steps.ts";
import { openImageSourcesSteps, openMountSourcesSteps } from "./mount_source_steps.ts";
import { openRootfsSteps, pivotSteps, rootfsSteps } from "./rootfs_steps.ts";
import { type ContainerSetup, requireProcess, type RootfsPlan } from "./setup.ts";
import { consoleControl } from "./terminal_steps.ts";
import type { HeldNamespace } from "./map_ids_steps.ts";
import {
  awaitMadeSteps,
  awaitMapSteps,
  dropMountsStep,
  forkNestedSteps,
  leaveMountsSteps,
  NEST_BUFFERS,
} from "./nest_steps.ts";
import { closeParkedSteps, NO_FDS } from "./preserved_fds.ts";
import { USER_NAMESPACE_BUFFERS } from "./user_namespace.ts";
import { processSteps } from "./enter_steps.ts";
import {
  becomeRootSteps,
  childNamespaceSteps,
  enterUserNamespaceSteps,
  fuseNamespaceSteps,
  innerNamespaceSteps,
  namespaceOf,
  rootIds,
  unmountFuse,
} from "./namespace_steps.ts";
import { mountsSteps, readOnlyRootSteps, restrictSteps, workingDirectoryTargetSteps } from "./spec_mount_steps.ts";

/** What a tape does besides the container: for whoever made it, who is not there any more or has no time. */
export interface TapeExtras {
  /** Before anything else. */
  readonly before: readonly Step[];
  /** What the container's root file system needs: made while something else is waited for, as the caller. */
  readonly meanwhile: readonly Step[];
  /** The user namespace, where another process holds it. */
  readonly held: HeldNamespace | undefined;
  /** When the container has ended, before that is told; steps may go on at {@linkcode LEFT}. */
  readonly atEnd: readonly Step[];
  /** When it was told, unless it went on at {@linkcode LEFT}. */
  readonly afterEnd: readonly Step[];
  readonly buffers: readonly (readonly [string, TapeBuffer])[];
}

/**
 * Plans a container.
 * @throws {RangeError} When the image has more layers than can be mounted.
 */
export function planContainer(setup: ContainerSetup, extras?: TapeExtras): Tape {
  const { spec } = setup;
  const process = requireProcess(spec);
  const leave = setup.attachment === undefined ? [] : leaveHelperSteps();
  // of one that is removed by the tape, nobody looks at what is left of its mounts
  const leavesMounts = isNested(setup) && extras !== undefined && !setup.keepsOutput;
  const relays = setup.stdio.kind === "inherit" ? setup.stdio.relays : [];
  const preserved = setup.preserved ?? NO_FDS;
  const steps: Step[] = [
    blockSignalsStep(),
    ...deathSignalSteps(setup, "the engine"),
    ...(extras?.before ?? []),
    ...enterUserNamespaceSteps(setup, extras),
    ...(setup.group === undefined ? [] : joinGroupSteps()),
    ...relaySteps(relays),
    ...fuseNamespaceSteps(setup),
    ...(setup.keepsOutput
      ? [
        ...(setup.parent === undefined ? forkBetweenSteps("between") : forkHereSteps(setup, extras)),
        ...leave,
        // the player is executed once more, and then what removes the container
        ...(isRootOutside(setup) ? [] : keepCapabilitiesSteps()),
        ...handOverSteps(setup.stdio.kind === "terminal", relays, setup.group !== undefined),
        ...lostSteps(),
        ...(setup.parent === undefined
          ? betweenSteps("between", childNamespaceSteps(setup), "container", setup.group !== undefined)
          : []),
      ]
      : [
        ...forkHereSteps(setup, extras),
        ...leave,
        ...closeParkedSteps(preserved),
        ...waitSteps(
          relays,
          cleanUpSteps(setup.rootfs),
          setup.group,
          leavesMounts ? dropMountsAtEnd(extras) : extras,
          preserved.error,
        ),
        ...lostSteps(),
      ]),

    place("container", "the container's first process"),
    ...(isNested(setup) ? awaitMapSteps() : []),
    ...deathSignalSteps(setup, "the monitor"),
    // no terminal of the caller's is the controlling one
    step("setsid", [], "lead", "a new session"),
    step("umask", [0], "clear", "umask"),
    ...affinitySteps(setup.affinity),
    ...innerNamespaceSteps(setup),
    ...(leavesMounts ? leaveMountsSteps() : []),
    ...(isNested(setup) && extras !== undefined && extras.meanwhile.length > 0 ? awaitMadeSteps() : []),
    ...openImageSourcesSteps(setup),
    ...openRootfsSteps(setup.rootfs),
    ...openMountSourcesSteps(setup),
    ...becomeRootSteps(rootIds(setup.map)),
    ...rootfsSteps(setup.rootfs, setup.callerId === undefined ? undefined : rootIds(setup.map)),
    ...mountsSteps(setup),
    ...workingDirectoryTargetSteps(setup, process.cwd),
    ...maskSteps(spec.linux?.maskedPaths ?? [], setup.maskKind),
    ...readOnlySteps(
      spec.linux?.readonlyPaths ?? [],
      // the flags of every /proc and /sys; of the host's they are locked (--pid host)
      (id, path) =>
        restrictSteps(setup, id, path, MOUNT_ATTR_RDONLY, /^\/(proc|sys)\//.test(path) ? KERNEL_TREE_FLAGS : 0),
    ),
    ...(spec.root?.readonly ? readOnlyRootSteps(setup) : []),
    ...pivotSteps(),
    step("umask", [process.user.umask ?? 0o022], "set", "umask"),
    ...processSteps(setup, process),
  ];
  return { steps, buffers: new Map([...buffersOf(setup), ...extras?.buffers ?? []]), errorFd: preserved.error };
}

/** How /proc and /sys are mounted everywhere. */
const KERNEL_TREE_FLAGS = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

/** Whether its user namespace is made in another one than the caller's, by the monitor's first fork. */
function isNested({ parent }: ContainerSetup): boolean {
  return parent !== undefined;
}

/** Forks the container's first process from the monitor itself. */
function forkHereSteps(setup: ContainerSetup, extras?: TapeExtras): Step[] {
  const { group, map, parent, spec } = setup;
  const inGroup = group !== undefined;
  if (parent === undefined) return [...childNamespaceSteps(setup), ...forkSteps("container", inGroup)];
  const ownsPids = namespaceOf(spec, "pid") === "new";
  return forkNestedSteps(
    { map, parent: parent.map, ownsPids, inGroup, meanwhile: extras?.meanwhile ?? [] },
    "container",
  );
}

function dropMountsAtEnd(extras: TapeExtras): TapeExtras {
  return { ...extras, afterEnd: [dropMountsStep(), ...extras.afterEnd] };
}

/** Whether the monitor is root of its user namespace, who keeps all rights over an exec. */
function isRootOutside({ callerId, parent }: ContainerSetup): boolean {
  return parent !== undefined || callerId === 0;
}

/** What goes when the container has ended, before that is told. */
export function cleanUpSteps(rootfs: RootfsPlan): Step[] {
  return rootfs.kind === "fuse-overlayfs" ? [unmountFuse(rootfs.merged)] : [];
}

function buffersOf(setup: ContainerSetup): Map<string, TapeBuffer> {
  const buffers = new Map<string, TapeBuffer>(USER_NAMESPACE_BUFFERS);
  buffers.set("pid", { sizeBytes: 8 });
  buffers.set("status", { sizeBytes: 8 });
  buffers.set("cwd", { sizeBytes: 4096 });
  buffers.set("exec errno", { sizeBytes: 8, bytes: execErrnoBytes() });
  const more = setup.parent !== undefined ? NEST_BUFFERS : setup.keepsOutput ? FORK_BETWEEN_BUFFERS : [];
  for (const [name, buffer] of more) buffers.set(name, buffer);
  if (setup.attachment !== undefined) {
    for (const [name, buffer] of attachBuffers(setup.attachment)) buffers.set(name, buffer);
  }
  if (setup.group !== undefined) { for (const [name, buffer] of GROUP_BUFFERS) buffers.set(name, buffer); }
  if (setup.init) buffers.set("reaped", { sizeBytes: 8 });
  if (setup.stdio.kind === "terminal") {
    buffers.set("console control", { sizeBytes: 24, bytes: consoleControl() });
    for (const [name, buffer] of handOverBuffers(true)) buffers.set(name, buffer);
  }
  return buffers;
}
