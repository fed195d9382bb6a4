/**
 * What a container of a bundle is planned from: all that config.json and the command say, as plain data. Unlike a container
 * of an image, it gets what the specification names and nothing else.
 *
 * @module
 */
import type { IdMap } from "#linux/idmap.ts";
import type { PreservedFds } from "../preserved_fds.ts";
import type { MountContext } from "../setup.ts";

/** The player's descriptors, besides those of `../setup.ts` and `../map_ids.ts`. */
export const SET_UP_FD = 10;
export const GO_ON_FD = 11;
/** What hooks in the container read: its state while it is made. */
export const HOOK_STATE_FD = 12;

/** Where descriptors are kept out of the way of those that the container gets. */
const FIRST_HIGH_FD = 190;

/** Descriptors that keep their numbers, and the places of ours above them. */
export interface FdPlan extends PreservedFds {
  /** The fifo that a created container waits at. */
  readonly gate: number;
  /** What hooks at the start read: the state of a created container. */
  readonly startState: number;
}

/** Lays out descriptors for a container that keeps those. */
export function planFds(preserved: readonly number[]): FdPlan {
  const gate = Math.max(FIRST_HIGH_FD, ...preserved.map((fd) => fd + 1));
  const sorted = [...preserved].sort((a, b) => a - b);
  return { preserved: sorted, gate, startState: gate + 1, error: gate + 2, parked: gate + 3 };
}

/** How a container of a bundle is started. */
export type BundleStart =
  /** It waits at a fifo until it is started; whoever made it may go. */
  | { readonly kind: "create" }
  /** Its program runs at once; whoever made it may go. */
  | { readonly kind: "detach" }
  /** Its program runs at once, and dies with whoever made it. A monitor tells its end. */
  | { readonly kind: "foreground" };

/** The user namespace of a container. */
export type BundleUserNamespace =
  /** Whoever makes it has the rights that it takes: root. */
  | { readonly kind: "host" }
  | { readonly kind: "new"; readonly map: IdMap }
  | { readonly kind: "join"; readonly path: string };

/** Everything that decides the tape. */
export interface BundleSetup extends MountContext {
  /** The directory that is its root; absolute. */
  readonly rootPath: string;
  readonly start: BundleStart;
  readonly userNamespace: BundleUserNamespace;
  /** Whether device nodes can be made; else the machine's are bound. */
  readonly makesNodes: boolean;
  /** Whether supplementary groups can be set. */
  readonly setsGroups: boolean;
  readonly filter: { readonly program: Uint8Array; readonly flags: number } | undefined;
  readonly fds: FdPlan;
  /** `pivot_root` does not work where the machine's root is a ramfs. */
  readonly pivots: boolean;
  readonly newKeyring: boolean;
  /** Whether whoever makes it puts its first process into a control group, for which that waits. */
  readonly entersGroup: boolean;
}
