/**
 * What the runtime is asked for: everything that decides the tape of a container, as plain data.
 *
 * @module
 */
import type { IdMap } from "#linux/idmap.ts";
import type { ProcessSpec, RuntimeSpec } from "#oci/runtime_spec.ts";
import type { LayeredRootfs } from "#storage/driver.ts";
import type { NetworkAttachment } from "./attach_steps.ts";
import type { GroupSetup } from "./group_steps.ts";
import type { MaskKind } from "./mask_steps.ts";
import type { PreservedFds } from "./preserved_fds.ts";

/** What a process of the engine's exits with when it cannot do its work, as with Docker. */
export const ENGINE_FAILED = 125;

/** How the root file system comes to be. */
export type RootfsPlan =
  | LayeredRootfs
  /** A file system in memory with parts of a tree of the host on it, each under an overlay: see {@linkcode TreePart}. */
  | { readonly kind: "tree"; readonly parts: readonly TreePart[]; readonly merged: string };

/**
 * A part of a tree of the host. overlayfs in a user namespace cannot take a directory below which something is mounted
 * (the mount is locked there), so such a directory is taken apart.
 */
export type TreePart =
  | {
    readonly kind: "overlay";
    readonly path: string;
    readonly lower: string;
    readonly upper: string;
    readonly work: string;
  }
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "file"; readonly path: string; readonly source: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** What this machine's kernel can do, as far as a tape depends on it. */
export interface HostFeatures {
  /** mount_setattr(2), Linux 5.12. */
  readonly mountSetattr: boolean;
  /** Version of Landlock, 0 where there is none. Scopes came with 6 (Linux 6.12). */
  readonly landlockAbi: number;
  /** The last capability that the kernel knows. */
  readonly lastCapability: number;
}

/** Where the container's descriptors 0, 1 and 2 come from. */
export type StdioPlan =
  /** A terminal of the container's own, whose other end is sent over {@linkcode CONSOLE_FD}. */
  | { readonly kind: "terminal" }
  /** Those that the player was started with. */
  | { readonly kind: "inherit"; readonly relays: readonly Relay[] };

/**
 * A process of the player's that copies from one descriptor to another. Regular files are given to a container through
 * a pipe: a file could be opened again through /proc/self/fd for more than the caller's descriptor allows.
 */
export interface Relay {
  readonly from: number;
  readonly to: number;
  /** Whether it carries what the container writes: then the end is not told before all has arrived. */
  readonly output: boolean;
}

/** The player's descriptors, besides those of `user_namespace.ts`. */
export const REPORT_FD = 7;
export const CONSOLE_FD = 8;
/** The directory in which the exit record is written. */
export const STATE_FD = 9;
/** The name of the exit record in the container's state directory: the wait status of wait4(2), 4 bytes little-endian. */
export const EXIT_RECORD = "exit";
export const FIRST_RELAY_FD = 10;

/** A user namespace whose ids are all that the caller has, theirs as root: see `holder/`. */
export interface ParentPlan {
  readonly map: IdMap;
  /** Its file, where it is there already, else the tape makes it. */
  readonly file?: string | undefined;
}

/** Everything that decides the tape. */
export interface ContainerSetup {
  readonly spec: RuntimeSpec;
  readonly rootfs: RootfsPlan;
  readonly map: IdMap;
  /**
   * What the caller's user id is called inside; undefined where it has no name there: then what is to be the container's
   * own is given to its root before the tape is played.
   */
  readonly callerId: number | undefined;
  /** The user namespace in which the container's own is made; undefined where that is made in the caller's, or joined. */
  readonly parent?: ParentPlan | undefined;
  /** The file of another container's mount namespace, whose /dev/shm the specification's bind of /dev/shm means. */
  readonly shmNamespace?: string;
  /** The networks that it is joined to: its user namespace is made below the user's shared one then. */
  readonly attachment?: NetworkAttachment | undefined;
  readonly host: HostFeatures;
  /** Descriptors of the caller's that it keeps; of one whose output is not kept alone. */
  readonly preserved?: PreservedFds;
  readonly stdio: StdioPlan;
  /** Whether the monitor goes on with a tape of its own, which keeps the output: always with a terminal. */
  readonly keepsOutput: boolean;
  /** Whether process 1 is a reaper that passes signals on: `--init`. */
  readonly init: boolean;
  /** Where it is in a control group of its own, which whoever starts it makes meanwhile. */
  readonly group?: GroupSetup | undefined;
  /** The processors that it may use, where no control group keeps it to them. */
  readonly affinity?: readonly number[] | undefined;
  /** A seccomp program, `struct sock_filter` by `struct sock_filter`, and the flags of seccomp(2). */
  readonly filter: { readonly program: Uint8Array; readonly flags: number } | undefined;
  /** Whether the filter keeps the program from keyrings. */
  readonly filterHidesKeys: boolean;
  /** Whether supplementary groups of the caller stay: no setgroups. */
  readonly keepGroups: boolean;
  /** A signal that the container's first process gets when the engine's process dies, else it lives on. */
  readonly deathSignal: number | undefined;
  /** Directories and files of the image as the container will see them: see `resolve.ts`. */
  readonly resolve: (path: string) => string;
  /** MS_* flags that are locked on a bind's source; needed without mount_setattr only. */
  readonly lockedFlags: (source: string) => number;
  /** What kind of thing a bind's source on the host is. */
  readonly sourceKind: (source: string) => "directory" | "file";
  /** What a path to be masked is: of /proc and /sys the host knows, of the image only the kernel will. */
  readonly maskKind: (path: string) => MaskKind;
}

/** What the mounts of a specification depend on. */
export type MountContext =
  & Pick<ContainerSetup, "spec" | "host" | "resolve" | "lockedFlags" | "sourceKind">
  & Partial<Pick<ContainerSetup, "shmNamespace">>;

/** The process of a specification: of ours, every one has it. */
export function requireProcess(spec: RuntimeSpec): ProcessSpec {
  if (spec.process === undefined) throw new RangeError("Container has no process");
  return spec.process;
}
