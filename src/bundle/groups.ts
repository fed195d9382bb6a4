/**
 * The control group of a container of a bundle: made where groups are delegated to the caller (src/cgroup), with the limits of
 * `linux.resources`. A limit that cannot be kept ends the start.
 *
 * @module
 */
import { hashHex } from "#ffi/mod.ts";
import { findGroup } from "#cgroup/find_group.ts";
import { applySettings, makeGroup } from "#cgroup/group.ts";
import { joinGroup as join } from "#cgroup/join_group.ts";
import { choosePlace, type Place, readGroupFacts } from "#cgroup/place.ts";
import { type GroupSetting, planSettings } from "#cgroup/resources.ts";
import { removeGroup } from "#cgroup/sweep_groups.ts";
import { writeGroupFile } from "#linux/cgroup.ts";
import type { ResourcesSpec, RuntimeSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import type { BundleContainer } from "./container_state.ts";
import { bundleError } from "./error.ts";

/** What the command line says of groups. */
export interface GroupOptions {
  /** cgroupsPath is `slice:prefix:name`. */
  readonly systemd: boolean;
  /** Whether a group that cannot be made is passed over where nothing is limited: `--rootless` but for `false`. */
  readonly optional: boolean;
}

/** A group that will be made when the container's first process is there. */
export interface GroupRequest {
  readonly place: Place & { readonly kind: "systemd" | "own" };
  readonly slice: string | undefined;
  readonly settings: readonly GroupSetting[];
}

/**
 * Plans the group of a container; undefined where it gets none, since none can be had and nothing is limited.
 * @throws {DugoutError} LIMIT_IMPOSSIBLE, BUNDLE_INVALID.
 */
export function planGroup({ linux }: RuntimeSpec, { systemd, optional }: GroupOptions): GroupRequest | undefined {
  const settings = settingsOf(linux?.resources ?? {});
  const place = choosePlace(readGroupFacts());
  const limit = settings.find(restricts);
  if (place.kind === "none") {
    if (limit === undefined && optional) return undefined;
    const what = limit === undefined ? "make a control group" : `limit ${limit.what}`;
    throw bundleError("LIMIT_IMPOSSIBLE", `cannot ${what}: ${place.reason}`, "`dugout check` says what to ask for");
  }
  // nobody wants it to be told from others
  if (limit === undefined && linux?.cgroupsPath === undefined) return undefined;
  return { place, slice: systemd ? sliceOf(linux?.cgroupsPath) : undefined, settings };
}

/** Limits as what is written. @throws {DugoutError} BUNDLE_INVALID for what version 2 has not. */
function settingsOf(resources: ResourcesSpec): GroupSetting[] {
  try {
    return planSettings(resources);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw bundleError("BUNDLE_INVALID", `cannot use config.json: linux.resources: ${error.message}`, undefined, error);
  }
}

/** Whether a setting takes anything away: callers write down what is unlimited, too. */
function restricts({ value }: GroupSetting): boolean {
  return !value.startsWith("max");
}

function sliceOf(cgroupsPath: string | undefined): string | undefined {
  const parts = (cgroupsPath ?? "").split(":");
  if (cgroupsPath === undefined || cgroupsPath === "") return undefined;
  if (parts.length !== 3) {
    throw bundleError(
      "BUNDLE_INVALID",
      `expected cgroupsPath to be of format "slice:prefix:name", got ${quote(cgroupsPath)}`,
    );
  }
  return parts[0] === "" ? undefined : parts[0];
}

/** The name of a container's group, among those of all directories of states. */
function groupId(directory: string): string {
  return hashHex("sha256", directory);
}

/** Makes the group and puts the container's first process into it. @returns Its directory. */
export function enterGroup(
  { place, slice, settings }: GroupRequest,
  directory: string,
  name: string,
  pid: number,
): string {
  const group = makeGroup({ place, id: groupId(directory), name, parent: slice, settings, pass: undefined }, pid);
  try {
    writeGroupFile(group, "cgroup.procs", String(pid));
  } catch (error) {
    removeGroup(group);
    throw error;
  }
  return group;
}

/** Puts a process that is to enter a container into the container's group. */
export function joinGroup(directory: string, firstProcess: number, pid: number): void {
  const group = findGroup(groupId(directory), firstProcess);
  if (group !== undefined) writeGroupFile(join(group, pid), "cgroup.procs", String(pid));
}

/** Writes other limits. @throws {DugoutError} LIMIT_IMPOSSIBLE without a group of the container's own; LIMIT_REFUSED. */
export function changeLimits({ stored }: BundleContainer, resources: ResourcesSpec): void {
  const settings = settingsOf(resources);
  if (stored.group !== undefined) return applySettings(stored.group, settings, undefined);
  throw bundleError(
    "LIMIT_IMPOSSIBLE",
    "cannot change the limits of the container: it has no control group of its own",
    "`dugout check` says how control groups are delegated",
  );
}

/** Removes the group of a container that has ended: of systemd's scopes the manager does it. */
export function leaveGroup(group: string | undefined): void {
  if (group !== undefined) removeGroup(group);
}
