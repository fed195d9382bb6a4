/**
 * What entering a container takes, as plain data, and the descriptors of the tape that does it.
 *
 * @module
 */
import type { NamespaceType, ProcessSpec } from "#oci/runtime_spec.ts";
import type { ContainerSetup, Relay } from "./setup.ts";

/** A pidfd of a process of the container: its namespaces are the ones that are joined. */
export const TARGET_FD = 5;
/** Both ends of the pipe that tells copiers that the program has ended. */
export const ENDED_FD = 25;
export const NOT_ENDED_FD = 26;

/** Everything that decides the tape. */
export interface ExecSetup
  extends Pick<ContainerSetup, "map" | "host" | "filter" | "filterHidesKeys" | "keepGroups" | "affinity"> {
  readonly process: ProcessSpec;
  /** The namespaces of the container that are not the caller's. The user namespace is always one of them. */
  readonly namespaces: readonly NamespaceType[];
  readonly stdio: ExecStdio;
  /** Whether the program goes into the container's control group, which whoever starts it tells. */
  readonly inGroup?: boolean;
  /** Whether how it ended is written into the directory `STATE_FD`. */
  readonly keepsRecord: boolean;
}

/** Where the program's descriptors 0, 1 and 2 come from. */
export type ExecStdio =
  /** A terminal of the container's, whose other end is sent over `CONSOLE_FD`. */
  | { readonly kind: "terminal"; readonly rows: number; readonly columns: number }
  /** Those that the player was started with. */
  | { readonly kind: "inherit"; readonly relays: readonly Relay[] };
