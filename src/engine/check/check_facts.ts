/**
 * What `dugout check` looks at: facts of this machine, found by trying (check_probe.ts) and judged apart from that (check.ts).
 *
 * @module
 */
import type { GroupFacts } from "#cgroup/place.ts";

/** How a trial ended. */
export type Trial =
  | { readonly ok: true }
  /** `what` failed, such as `mount overlay at merged`, with an error's name. */
  | { readonly ok: false; readonly what: string; readonly code: string };

/** Sysctls that decide; undefined where the kernel does not have one. */
export interface SysctlFacts {
  readonly apparmorRestrict: number | undefined;
  readonly usernsClone: number | undefined;
  readonly maxUserNamespaces: number | undefined;
  readonly memfdNoexec: number | undefined;
}

export interface IdentityFacts {
  /** How many ids of its own the user has besides; 0 in single-id mode. */
  readonly uidCount: number;
  readonly gidCount: number;
  /** Why, in the words of the runtime. */
  readonly reason: string;
  /** A range that nobody has, for the sentence to the administrator. */
  readonly freeStart: number;
  /** newuidmap, and by what it may do its work. */
  readonly mapProgram: { readonly path: string; readonly rights: "setuid" | "capability" | "none" } | undefined;
}

export interface FuseFacts {
  /** `ok`, or why /dev/fuse cannot be opened. */
  readonly device: string;
  /** Where fuse-overlayfs is. */
  readonly overlayProgram: string | undefined;
}

export interface StoreFacts {
  readonly path: string;
  /** Why it cannot be used at all. */
  readonly problem: string | undefined;
  /** `ext4`, `nfs` …; `0x…` for a type that has no name here. */
  readonly fileSystem: string;
  /** Other machines may have it mounted. */
  readonly isShared: boolean;
  readonly isNoexec: boolean;
  readonly userXattrs: Trial;
  readonly availableBytes: number;
}

export interface MachineFacts {
  /** The program that needs the rights: its path, for a profile. */
  readonly program: string;
  readonly uid: number;
  readonly userName: string | undefined;
  readonly kernel: string;
  /** Whether we seem to run in a container of somebody's. */
  readonly insideContainer: boolean;
  /** Whether the root is one that chroot(2) set. */
  readonly insideChroot: boolean;
  readonly sysctls: SysctlFacts;
  readonly memfd: Trial;
  readonly userNamespace: Trial;
  /** Mount, network, ipc, uts, cgroup and pid namespaces in it, and a mount made private. */
  readonly namespaces: Trial;
  readonly proc: Trial;
  readonly overlay: Trial;
  readonly identity: IdentityFacts;
  readonly fuse: FuseFacts;
  /** `ok`, or why /dev/net/tun cannot be opened. */
  readonly tun: string;
  /** `ok`, or why the user may not send pings (a socket of icmp(7) cannot be opened). */
  readonly ping: string;
  readonly cgroup: GroupFacts;
  readonly store: StoreFacts;
  /** 0 where there is none. */
  readonly landlockAbi: number;
  readonly hasSeccomp: boolean;
}
