/**
 * Types of the parts of config.json (OCI runtime-spec 1.2, config.md and config-linux.md) that a rootless engine uses. Names are those of
 * the JSON. These are types only: the engine makes such objects, the runtime turns them into a tape.
 */

export interface RuntimeSpec {
  ociVersion: string;
  hostname?: string;
  domainname?: string;
  process?: ProcessSpec;
  root?: RootSpec;
  mounts?: MountSpec[];
  hooks?: HooksSpec;
  annotations?: Map<string, string>;
  linux?: LinuxSpec;
}

export interface RootSpec {
  /** Absolute, or relative to the bundle. */
  path: string;
  readonly?: boolean;
}

export interface ProcessSpec {
  terminal?: boolean;
  consoleSize?: { width: number; height: number };
  /** An absolute path in the container. */
  cwd: string;
  /** `NAME=value` each. */
  env?: string[];
  args?: string[];
  user: UserSpec;
  capabilities?: CapabilitiesSpec;
  rlimits?: RlimitSpec[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  oomScoreAdj?: number;
  scheduler?: {
    policy: string;
    nice?: number;
    priority?: number;
    flags?: string[];
    runtime?: number;
    deadline?: number;
    period?: number;
  };
  ioPriority?: { class: "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE"; priority: number };
}

/** Ids are those inside the container. */
export interface UserSpec {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
}

/** Names such as `CAP_CHOWN`. */
export interface CapabilitiesSpec {
  effective?: string[];
  bounding?: string[];
  inheritable?: string[];
  permitted?: string[];
  ambient?: string[];
}

export interface RlimitSpec {
  /** Such as `RLIMIT_NOFILE`. */
  type: string;
  /** 64 bits wide; RLIM_INFINITY is 2^64 - 1. */
  soft: bigint;
  hard: bigint;
}

export interface MountSpec {
  /** Absolute in the container. */
  destination: string;
  type?: string;
  source?: string;
  /** As of mount(8): `ro`, `nosuid`, `rbind`, `rprivate`, `size=64m` … */
  options?: string[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
}

export interface IdMapping {
  containerID: number;
  hostID: number;
  size: number;
}

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

export interface NamespaceSpec {
  type: NamespaceType;
  /** A namespace file to join; a new namespace without it. */
  path?: string;
}

export interface LinuxSpec {
  namespaces?: NamespaceSpec[];
  uidMappings?: IdMapping[];
  gidMappings?: IdMapping[];
  timeOffsets?: { monotonic?: { secs: number; nanosecs: number }; boottime?: { secs: number; nanosecs: number } };
  devices?: DeviceSpec[];
  /** Relative to the delegated place, or absolute below the cgroup mount. */
  cgroupsPath?: string;
  resources?: ResourcesSpec;
  rootfsPropagation?: "shared" | "slave" | "private" | "unbindable";
  seccomp?: SeccompSpec;
  sysctl?: Map<string, string>;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  mountLabel?: string;
  personality?: { domain: "LINUX" | "LINUX32"; flags?: string[] };
}

export interface DeviceSpec {
  type: "c" | "b" | "u" | "p";
  path: string;
  major?: number;
  minor?: number;
  /** Permission bits. */
  fileMode?: number;
  uid?: number;
  gid?: number;
}

/** Limits of cgroup v2; bytes, microseconds and counts as config-linux.md says. */
export interface ResourcesSpec {
  unified?: Map<string, string>;
  devices?: { allow: boolean; type?: "a" | "c" | "b"; major?: number; minor?: number; access?: string }[];
  pids?: { limit: number };
  memory?: { limit?: number; reservation?: number; swap?: number; swappiness?: number; disableOOMKiller?: boolean };
  cpu?: {
    shares?: number;
    quota?: number;
    period?: number;
    cpus?: string;
    mems?: string;
    idle?: number;
    burst?: number;
  };
  blockIO?: {
    weight?: number;
    weightDevice?: { major: number; minor: number; weight: number }[];
    throttleReadBpsDevice?: ThrottleSpec[];
    throttleWriteBpsDevice?: ThrottleSpec[];
    throttleReadIOPSDevice?: ThrottleSpec[];
    throttleWriteIOPSDevice?: ThrottleSpec[];
  };
  hugepageLimits?: { pageSize: string; limit: number }[];
}

export interface ThrottleSpec {
  major: number;
  minor: number;
  rate: number;
}

export type SeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_ALLOW"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_NOTIFY";

export type SeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

export interface SeccompSpec {
  defaultAction: SeccompAction;
  defaultErrnoRet?: number;
  /** Such as `SCMP_ARCH_X86_64`. */
  architectures?: string[];
  flags?: string[];
  syscalls?: SeccompRule[];
}

export interface SeccompRule {
  names: string[];
  action: SeccompAction;
  errnoRet?: number;
  args?: SeccompArgument[];
}

/** Compares argument number `index`; for MASKED_EQ `value` is the mask and `valueTwo` what must be left. */
export interface SeccompArgument {
  index: number;
  value: bigint;
  valueTwo?: bigint;
  op: SeccompOperator;
}

export interface HookSpec {
  path: string;
  args?: string[];
  env?: string[];
  /** Seconds. */
  timeout?: number;
}

export interface HooksSpec {
  prestart?: HookSpec[];
  createRuntime?: HookSpec[];
  createContainer?: HookSpec[];
  startContainer?: HookSpec[];
  poststart?: HookSpec[];
  poststop?: HookSpec[];
}
