/**
 * From a bundle and its caller to what the runtime plans a tape of.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { HOST_ARCH } from "#linux/arch.ts";
import { capabilityNumber } from "#linux/capabilities.ts";
import type { IdMap, IdRange } from "#linux/idmap.ts";
import { isSingle } from "#linux/idmap.ts";
import { kernelRelease } from "#linux/machine.ts";
import { planSeccomp } from "#linux/seccomp.ts";
import { SeccompProfileError } from "#linux/seccomp_profile.ts";
import { statFileSystem } from "#linux/statfs.ts";
import type { IdMapping, ProcessSpec, RuntimeSpec } from "#oci/runtime_spec.ts";
import type { BundleSetup, BundleStart, BundleUserNamespace, FdPlan } from "#runtime/bundle/setup.ts";
import { probeHost } from "#runtime/host.ts";
import { lockedFlags } from "#runtime/mount_steps.ts";
import { namespaceOf } from "#runtime/namespace_steps.ts";
import { resolveInLayers } from "#runtime/resolve.ts";
import { bundleError } from "./error.ts";

/** What is asked for besides the bundle. */
export interface PlanRequest {
  readonly spec: RuntimeSpec;
  readonly rootPath: string;
  readonly start: BundleStart;
  readonly fds: FdPlan;
  readonly pivots: boolean;
  readonly newKeyring: boolean;
  readonly entersGroup: boolean;
  readonly isMachineRoot: boolean;
}

/**
 * Gathers what the tape depends on.
 * @throws {DugoutError} BUNDLE_INVALID for a filter or groups that cannot be had.
 */
export function planSetup(request: PlanRequest): BundleSetup {
  const { spec, rootPath } = request;
  const userNamespace = userNamespaceOf(spec);
  const setsGroups = allowsGroups(userNamespace);
  if (!setsGroups && (spec.process?.user.additionalGids ?? []).length > 0) {
    throw bundleError("BUNDLE_INVALID", "cannot set any additional groups in a rootless container of one id");
  }
  return {
    ...request,
    host: probeHost(),
    userNamespace,
    makesNodes: request.isMachineRoot && userNamespace.kind === "host",
    setsGroups,
    filter: planFilter(spec),
    resolve: (path) => resolveInLayers([rootPath], path).path,
    lockedFlags: (source) => lockedFlags(statFileSystem(source).flags),
    sourceKind: (source) => statSync(source).isDirectory() ? "directory" : "file",
  };
}

function userNamespaceOf(spec: RuntimeSpec): BundleUserNamespace {
  const user = namespaceOf(spec, "user");
  if (user === "host") return { kind: "host" };
  if (typeof user === "object") return { kind: "join", path: user.path };
  const map: IdMap = {
    uid: rangesOf(spec.linux?.uidMappings ?? []),
    gid: rangesOf(spec.linux?.gidMappings ?? []),
  };
  return { kind: "new", map };
}

function rangesOf(mappings: readonly IdMapping[]): IdRange[] {
  return mappings
    .map(({ containerID, hostID, size }) => ({ inside: containerID, outside: hostID, count: size }))
    .sort((left, right) => left.inside - right.inside);
}

/** setgroups(2) is forbidden where a user has mapped their one group themselves (user_namespaces(7)). */
function allowsGroups(namespace: BundleUserNamespace): boolean {
  switch (namespace.kind) {
    case "host":
      return readFileSync("/proc/self/setgroups", "latin1").trim() === "allow";
    case "new":
      return !(isSingle(namespace.map) && namespace.map.gid.length === 1 && namespace.map.gid[0]!.count === 1);
    case "join":
      return true;
    default:
      throw new Error(`Unknown user namespace ${namespace satisfies never}`);
  }
}

/**
 * The filter of a specification, for a container and for what enters it.
 * @throws {DugoutError} BUNDLE_INVALID.
 */
export function planFilter(spec: RuntimeSpec): BundleSetup["filter"] {
  const { seccomp } = spec.linux ?? {};
  if (seccomp === undefined) return undefined;
  const [major = 0, minor = 0] = kernelRelease().split(".").map((part) => Number.parseInt(part, 10));
  try {
    const filter = planSeccomp({
      arch: HOST_ARCH,
      profile: { value: widenNumbers(seccomp) },
      capabilities: boundingSet(spec.process),
      kernel: [major, minor],
      singleId: false,
      guardTerminal: false,
    });
    return filter === undefined ? undefined : { program: filter.program, flags: filter.flags };
  } catch (error) {
    if (!(error instanceof SeccompProfileError) && !(error instanceof RangeError)) throw error;
    throw bundleError("BUNDLE_INVALID", `cannot use config.json: linux.seccomp: ${error.message}`, undefined, error);
  }
}

/** A value with all of its numbers as BigInt, by which profiles are read. */
function widenNumbers(value: unknown): unknown {
  if (typeof value === "number") return BigInt(value);
  if (Array.isArray(value)) return value.map(widenNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, widenNumbers(member)]));
}

function boundingSet(process: ProcessSpec | undefined): bigint {
  return (process?.capabilities?.bounding ?? []).reduce((set, name) => {
    const number = capabilityNumber(name);
    return number === undefined ? set : set | 1n << BigInt(number);
  }, 0n);
}
