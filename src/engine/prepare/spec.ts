/**
 * From what was asked for and what the image says to an OCI runtime-spec object. Pure: whatever the machine decides
 * (ids, files, sources of mounts) comes in as a value.
 *
 * @module
 */
import {
  ALL_CAPABILITIES,
  capabilitiesUpTo,
  capabilityNames,
  type CapabilitySet,
  combineCapabilities,
  DEFAULT_CAPABILITIES,
} from "#linux/capabilities.ts";
import { rlimitSpecName } from "#linux/rlimits.ts";
import { DugoutError } from "#oci/error.ts";
import type { RunConfig } from "#oci/image_config.ts";
import type { MountSpec, NamespaceSpec, NamespaceType, RuntimeSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import type { RunRequest } from "#docker/run_request.ts";
import type { ResolvedUser } from "#runtime/users.ts";
import type { PlannedLimits } from "./plan_limits.ts";
import { MASKED_PATHS, READONLY_PATHS } from "./system_paths.ts";

/** The machine's and the container's side of a specification. */
export interface SpecInput {
  readonly request: RunRequest;
  readonly image: RunConfig;
  readonly user: ResolvedUser;
  readonly hostname: string;
  readonly terminal: { readonly rows: number; readonly columns: number } | undefined;
  /** Last capability that the kernel knows. */
  readonly lastCapability: number;
  /** Whether it has a network namespace of its own. */
  readonly ownNetwork: boolean;
  /** Whether the group of terminals is mapped. */
  readonly ttyGroupMapped: boolean;
  /** Where the machine's unified cgroup tree is, if it has one. */
  readonly cgroup2: string | undefined;
  /** Namespaces of other containers to join, by their files. */
  readonly joined: ReadonlyMap<NamespaceType, string>;
  /** Mounts of files that the engine made, volumes and devices: sources are on the host. */
  readonly mounts: readonly MountSpec[];
  /** Paths to mask that the machine really has. */
  readonly existing: (path: string) => boolean;
  readonly limits: PlannedLimits | undefined;
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** MAX_ARG_STRLEN of Linux: 32 pages, less the NUL. */
const MOST_STRING_BYTES = 131071;

/** Makes the specification. @throws {DugoutError} NO_COMMAND, ENV_TOO_LONG. */
export function makeSpec(input: SpecInput): RuntimeSpec {
  const { request, image, user } = input;
  const capabilities = containerCapabilities(request, input.lastCapability);
  const names = capabilityNames(capabilities);
  // a user who is not root has none until a program with capabilities of its own gives them
  const effective = user.uid === 0 ? names : [];
  const open = request.privileged || request.security.systemPaths === "unconfined" || request.security.unmask === "all";
  const unmask = request.security.unmask;
  const isMasked = (path: string) =>
    unmask === "all" || !unmask.some((part) => path === part || path.startsWith(`${part}/`));
  const sharesUts = request.uts.kind !== "private";
  return {
    ociVersion: "1.2.0",
    ...(sharesUts ? {} : { hostname: input.hostname }),
    ...(sharesUts || request.domainname === undefined ? {} : { domainname: request.domainname }),
    process: {
      terminal: input.terminal !== undefined,
      ...(input.terminal === undefined
        ? {}
        : { consoleSize: { height: input.terminal.rows, width: input.terminal.columns } }),
      cwd: request.workingDir ?? (image.WorkingDir || "/"),
      args: commandOf(request, image),
      env: environmentOf(input),
      user: { uid: user.uid, gid: user.gid, umask: 0o022, additionalGids: user.additionalGids },
      capabilities: { bounding: names, permitted: effective, effective },
      noNewPrivileges: request.security.noNewPrivileges,
      rlimits: request.ulimits.map(({ name, soft, hard }) => ({ type: rlimitSpecName(name), soft, hard })),
      ...(request.oomScoreAdj === undefined ? {} : { oomScoreAdj: request.oomScoreAdj }),
    },
    root: { path: "", readonly: request.readOnlyRoot },
    mounts: mountsOf(input),
    annotations: request.annotations,
    linux: {
      namespaces: namespacesOf(input),
      sysctl: new Map([...input.limits?.sysctls ?? [], ...request.sysctls]),
      ...(input.limits === undefined ? {} : { resources: input.limits.resources }),
      maskedPaths: [...(open ? [] : MASKED_PATHS.filter(isMasked).filter(input.existing)), ...request.security.mask],
      readonlyPaths: open ? [] : READONLY_PATHS.filter(isMasked).filter(input.existing),
      // a bind that wants to see later mounts of the host needs them to come in
      ...(wantsPropagation(request) ? { rootfsPropagation: "slave" as const } : {}),
    },
  };
}

function wantsPropagation(request: RunRequest): boolean {
  return request.mounts.some((mount) => mount.kind === "bind" && !mount.propagation.endsWith("private"));
}

/** The bounding set: Docker's default, what was added and dropped; all of them when privileged. */
export function containerCapabilities(request: RunRequest, last: number): CapabilitySet {
  const all = capabilitiesUpTo(last) & ALL_CAPABILITIES;
  if (request.privileged) return all;
  return combineCapabilities(DEFAULT_CAPABILITIES & all, all, request.capAdd, request.capDrop);
}

/** What is executed: Docker's rules on ENTRYPOINT and CMD. @throws {DugoutError} NO_COMMAND. */
export function commandOf(request: RunRequest, image: RunConfig): string[] {
  const entrypoint = request.entrypoint ?? image.Entrypoint ?? [];
  const command = request.command ?? (request.entrypoint === undefined ? image.Cmd : undefined) ?? [];
  const args = [...entrypoint, ...command];
  if (args.length === 0) {
    throw new DugoutError("NO_COMMAND", "Cannot run the image: no command specified", {
      hint: "the image names no command of its own: give one behind the image's name",
    });
  }
  return args;
}

/** The variables of an image that a container gets. */
export function keptImageEnv({ Env = [] }: RunConfig, { unsetEnv }: RunRequest): string[] {
  return unsetEnv === "all" ? [] : Env.filter((entry) => !unsetEnv.includes(entry.split("=", 1)[0]!));
}

function environmentOf(input: SpecInput): string[] {
  const { request, image, user } = input;
  const env = new Map<string, string>([["PATH", DEFAULT_PATH], ["HOSTNAME", input.hostname]]);
  if (input.terminal !== undefined) env.set("TERM", "xterm");
  for (const entry of image.Env ?? []) {
    const equals = entry.indexOf("=");
    env.set(equals < 0 ? entry : entry.slice(0, equals), equals < 0 ? "" : entry.slice(equals + 1));
  }
  if (!env.has("HOME")) env.set("HOME", user.home);
  const { unsetEnv } = request;
  for (const name of unsetEnv === "all" ? [...env.keys()] : unsetEnv) env.delete(name);
  for (const [name, value] of request.env) env.set(name, value);
  return Array.from(env, ([name, value]) => {
    const entry = `${name}=${value}`;
    // UTF-8 has at most three bytes for a UTF-16 unit
    if (entry.length * 3 > MOST_STRING_BYTES && Buffer.byteLength(entry) > MOST_STRING_BYTES) {
      throw new DugoutError(
        "ENV_TOO_LONG",
        `Cannot pass the variable ${quote(name)}: it has ${
          Buffer.byteLength(entry)
        } bytes, the kernel takes ${MOST_STRING_BYTES}`,
        { exitCode: 126, hint: "hand the value over in a file: a bind mount, or stdin" },
      );
    }
    return entry;
  });
}

function namespacesOf(input: SpecInput): NamespaceSpec[] {
  const { request, joined } = input;
  const own: [NamespaceType, boolean][] = [
    ["user", true],
    ["mount", true],
    ["pid", request.pid.kind === "private"],
    ["ipc", request.ipc.kind !== "host"],
    ["uts", request.uts.kind === "private"],
    ["network", input.ownNetwork],
    ["cgroup", request.cgroupns === "private"],
  ];
  return own.flatMap(([type, isOwn]): NamespaceSpec[] => {
    const path = joined.get(type);
    if (path !== undefined) return [{ type, path }];
    return isOwn ? [{ type }] : [];
  });
}

const CLOSED = ["nosuid", "noexec", "nodev"];

/** The kernel's file systems, then what the engine and the user bring, parents before what lies in them. */
function mountsOf(input: SpecInput): MountSpec[] {
  const { request, joined } = input;
  const ownNetwork = input.ownNetwork || joined.has("network");
  const ownPid = request.pid.kind !== "host";
  const readOnlySys = request.privileged ? [] : ["ro"];
  const mounts: MountSpec[] = [
    ownPid
      ? { destination: "/proc", type: "proc", source: "proc", options: CLOSED }
      : { destination: "/proc", type: "bind", source: "/proc", options: ["rbind", ...CLOSED] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "size=64m", "mode=755"] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "ptmxmode=0666", "mode=0620", ...(input.ttyGroupMapped ? ["gid=5"] : [])],
    },
    ownNetwork
      ? { destination: "/sys", type: "sysfs", source: "sysfs", options: [...CLOSED, ...readOnlySys] }
      // the kernel refuses a new sysfs where the network namespace is the machine's
      : { destination: "/sys", type: "bind", source: "/sys", options: ["rbind", "rro", "rprivate"] },
  ];
  if (input.cgroup2 !== undefined && (ownNetwork || request.cgroupns === "private")) {
    // with what lies above it in sight, or without a group of its own, it could change what is not its own
    const writable = request.cgroupns === "private" && input.limits?.group?.canBeWritable === true &&
      (request.privileged || request.security.writableCgroups);
    mounts.push({
      destination: "/sys/fs/cgroup",
      type: "cgroup",
      source: "cgroup",
      options: [...CLOSED, ...(writable ? [] : ["ro"])],
    });
  }
  switch (request.ipc.kind) {
    case "host":
      // a host need not have mounted its message queues
      for (const path of ["/dev/mqueue", "/dev/shm"].filter(input.existing)) {
        mounts.push({ destination: path, type: "bind", source: path, options: ["rbind"] });
      }
      break;
    case "none":
      mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: CLOSED });
      break;
    case "container":
      mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: CLOSED });
      // that container's: see setup.shmNamespace
      mounts.push({ destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["bind"] });
      break;
    default:
      mounts.push({ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: CLOSED });
      mounts.push({
        destination: "/dev/shm",
        type: "tmpfs",
        source: "shm",
        options: [...CLOSED, "mode=1777", `size=${request.shmSizeBytes}`],
      });
  }
  const taken = new Set(input.mounts.map((mount) => mount.destination));
  const depth = (mount: MountSpec) => mount.destination.split("/").filter((part) => part !== "").length;
  const brought = [...input.mounts].sort((a, b) => depth(a) - depth(b));
  return [...mounts.filter((mount) => !taken.has(mount.destination)), ...brought];
}
