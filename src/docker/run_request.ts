/**
 * What one run asks for, as plain data: `RunRequest` is the container, `RunOptions` how the caller goes about it.
 *
 * The CLI fills both from flags (read_run.ts), the API will from a body, a script from an object: behind this point
 * nobody parses text again. Every field has its value; `undefined` means that the image, or the engine's default,
 * decides. Maps with outside keys are Maps, so that a label may be called `__proto__`.
 *
 * @module
 */
import type { Platform } from "#oci/platform.ts";
import type { RlimitName } from "#linux/rlimits.ts";
import { newLimits } from "./limits.ts";

/** A container, as asked for. */
export interface RunRequest {
  /** The image as it was typed; `undefined` when the root is a directory ({@linkcode RunOptions.rootfs}). */
  image: string | undefined;
  /** What stands behind the image: replaces its Cmd. `undefined`: the image's. `[]` cannot be asked for. */
  command: string[] | undefined;
  /** `undefined`: the image's; `[]`: none (`--entrypoint ""`), and the image's Cmd does not count either. */
  entrypoint: string[] | undefined;
  /** In order, each name once. Added to the image's. */
  env: (readonly [name: string, value: string])[];
  /** Variables of the image and of our own that it does not get; `all` of them. */
  unsetEnv: string[] | "all";
  workingDir: string | undefined;
  /** `USER[:GROUP]` as typed; runtime/users.ts reads it against the image. */
  user: string | undefined;
  groupAdd: string[];
  labels: Map<string, string>;
  annotations: Map<string, string>;

  hostname: string | undefined;
  domainname: string | undefined;
  extraHosts: HostEntry[];
  dns: DnsRequest;
  network: NetworkMode;
  /** What is wanted of the networks that are joined; the first belongs to {@linkcode RunRequest.network}. */
  endpoints: EndpointRequest[];
  /** Where it may connect to; empty: everywhere. */
  egress: EgressRequest[];
  /** Containers whose names stand in /etc/hosts. */
  links: LinkRequest[];
  ports: PortRequest[];
  exposedPorts: PortRange[];
  publishAll: boolean;

  /** Binds, volumes, tmpfs and images from `-v`, `--mount` and `--tmpfs`, in that order; no target twice. */
  mounts: MountRequest[];
  volumesFrom: VolumesFrom[];
  devices: DeviceRequest[];
  readOnlyRoot: boolean;
  /** Size of /dev/shm. */
  shmSizeBytes: number;

  privileged: boolean;
  /** Canonical names, `CAP_CHOWN` or `ALL`. */
  capAdd: string[];
  capDrop: string[];
  security: SecurityRequest;
  userns: UsernsMode;
  pid: PidMode;
  ipc: IpcMode;
  uts: UtsMode;
  cgroupns: "private" | "host";

  limits: LimitsRequest;
  ulimits: UlimitRequest[];
  sysctls: Map<string, string>;
  /** 0 to 1000; `undefined`: as the caller's. */
  oomScoreAdj: number | undefined;

  /** An init of ours as process 1. */
  init: boolean;
  /** A number from 1 to 64; `undefined`: the image's, else SIGTERM. */
  stopSignal: number | undefined;
  stopTimeoutSeconds: number | undefined;
  health: HealthRequest;
  restart: RestartPolicy;
  log: LogRequest;
}

/** How the caller starts it: what a client decides, not the container. */
export interface RunOptions {
  name: string | undefined;
  /** Remove the container when it ends. */
  rm: boolean;
  interactive: boolean;
  tty: boolean;
  detach: boolean;
  /** `-a`; `undefined` when it was not given: what `-i`, `-t` and `-d` say. */
  attach: AttachStream[] | undefined;
  /** The bytes that detach from a terminal; `[]` turns it off. */
  detachKeys: number[];
  sigProxy: boolean;
  cidfile: string | undefined;
  pidfile: string | undefined;
  pull: "always" | "missing" | "never";
  /** `undefined`: the machine's. */
  platform: Platform | undefined;
  quiet: boolean;
  tlsVerify: boolean | undefined;
  /** Run on a directory instead of an image. */
  rootfs: RootfsRequest | undefined;
  /** Descriptors of the caller's that the program has at the same numbers: `--preserve-fds`, `--preserve-fd`, `--env-job`. */
  preservedFds: number[];
}

/** `--rootfs DIR[:O]`. */
export interface RootfsRequest {
  /** Absolute. */
  path: string;
  /** `:O`: writes go to a throw-away layer on top. */
  overlay: boolean;
}

export type AttachStream = "stdin" | "stdout" | "stderr";

/** A line for /etc/hosts. */
export interface HostEntry {
  name: string;
  /** In its usual form; `host-gateway` stands for the address by which a container reaches the host. */
  address: string | { kind: "host-gateway" };
}

export interface DnsRequest {
  servers: string[];
  /** `["."]` means none, not even the host's. */
  search: string[];
  options: string[];
}

export type NetworkMode =
  | { kind: "default" }
  | { kind: "host" }
  | { kind: "none" }
  | { kind: "container"; id: string }
  /** A bridge network: `bridge`, or one that a user made. */
  | { kind: "bridge"; network: string }
  | { kind: "slirp" }
  | { kind: "pasta" };

/** What is wanted in one network. */
export interface EndpointRequest {
  network: NetworkMode;
  aliases: string[];
  ipv4: string | undefined;
  ipv6: string | undefined;
  linkLocal: string[];
  macAddress: string | undefined;
  driverOptions: Map<string, string>;
  gatewayPriority: number;
}

/** A rule of `--egress`. */
export interface EgressRequest {
  action: "allow" | "deny";
  /** An address, a range, or a name; `undefined`: all. */
  to: string | undefined;
  /** `undefined`: every one. */
  port: number | undefined;
}

/** `--link CONTAINER:ALIAS`. */
export interface LinkRequest {
  /** A name or an id. */
  container: string;
  alias: string;
}

/** Ports of the container that are opened on the host. */
export interface PortRequest {
  /** `undefined`: every address. */
  hostAddress: string | undefined;
  /** `undefined`: any free port. As many as the container's, or, for one port of the container, those to choose from. */
  hostPorts: { first: number; last: number } | undefined;
  containerPorts: PortRange;
}

export interface PortRange {
  first: number;
  last: number;
  protocol: "tcp" | "udp";
}

export type MountRequest = BindRequest | VolumeRequest | TmpfsRequest | ImageMountRequest;

export type Propagation = "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";

/** A directory or file of the host. */
export interface BindRequest {
  kind: "bind";
  /** Absolute. */
  source: string;
  target: string;
  readOnly: boolean;
  /**
   * How far read-only reaches below: `if-possible` (the default: Linux 5.12 on), `required`, or `top` for the mount
   * itself alone.
   */
  readOnlyDepth: "if-possible" | "required" | "top";
  /** Whether mounts below the source come with it. */
  recursive: boolean;
  propagation: Propagation;
  /** Make the source as a directory if it is not there: `-v` does, `--mount` does not. */
  createSource: boolean;
  /** SELinux label for several containers, or for this one alone (`z`, `Z`); no effect without SELinux. */
  relabel: "shared" | "private" | undefined;
}

/** A volume; it is made if it is not there. */
export interface VolumeRequest {
  kind: "volume";
  /** `undefined`: a new one without a name, that goes with the container. */
  name: string | undefined;
  target: string;
  readOnly: boolean;
  /** Do not fill an empty volume with what the image has at the target. */
  noCopy: boolean;
  subpath: string | undefined;
  driver: "local";
  driverOptions: Map<string, string>;
  labels: Map<string, string>;
}

/** An empty file system in memory. */
export interface TmpfsRequest {
  kind: "tmpfs";
  target: string;
  readOnly: boolean;
  exec: boolean;
  suid: boolean;
  dev: boolean;
  atime: "default" | "noatime" | "strictatime";
  /** Bytes, or per cent of the memory; `undefined`: the kernel's half. */
  size: number | { percent: number } | undefined;
  inodes: number | undefined;
  /** Permission bits; `undefined`: 1777. */
  mode: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
}

/** An image's files, to be read. */
export interface ImageMountRequest {
  kind: "image";
  /** As typed. */
  image: string;
  target: string;
  readOnly: boolean;
  subpath: string | undefined;
}

export interface VolumesFrom {
  container: string;
  /** `undefined`: as they are there. */
  readOnly: boolean | undefined;
}

/** A device node of the host that the caller may open. */
export interface DeviceRequest {
  hostPath: string;
  containerPath: string;
  /** What was asked; a bind mount cannot take away what the node's mode gives. */
  access: { read: boolean; write: boolean; mknod: boolean };
}

export interface SecurityRequest {
  /** Docker's default, none, or the text of a profile. */
  seccomp: "default" | "unconfined" | { text: string };
  noNewPrivileges: boolean;
  /** `undefined`: nothing was said. Only `unconfined` can be asked for. */
  apparmor: "unconfined" | undefined;
  /** `disable`, or nothing was said. */
  label: "disable" | undefined;
  /** `unconfined`: no path of /proc and /sys is masked or read-only. */
  systemPaths: "default" | "unconfined";
  /** More paths to mask. */
  mask: string[];
  /** Paths not to mask although they are in the default list. */
  unmask: string[] | "all";
  writableCgroups: boolean;
}

export type UsernsMode =
  | { kind: "default" }
  | { kind: "host" }
  /** The caller's ids, as these ids inside; `undefined`: the same numbers. */
  | { kind: "keep-id"; uid: number | undefined; gid: number | undefined }
  /** The caller has no id inside. */
  | { kind: "nomap" }
  /** Those of another container: its own user namespace. */
  | { kind: "container"; id: string };

export type PidMode = { kind: "private" } | { kind: "host" } | { kind: "container"; id: string };
export type UtsMode = { kind: "private" } | { kind: "host" } | { kind: "container"; id: string };
/** `default` is `private` that others may join all the same, as with podman; `private` itself is not joined, as with docker. */
export type IpcMode =
  | { kind: "default" }
  | { kind: "private" }
  | { kind: "shareable" }
  | { kind: "none" }
  | { kind: "host" }
  | { kind: "container"; id: string };

/** Limits of the container as a whole. `undefined`: none. */
export interface LimitsRequest {
  /** Whether a limit that cannot be had is an error, or a warning. */
  mode: "enforced" | "best-effort";
  memoryBytes: number | undefined;
  memoryReservationBytes: number | undefined;
  /** Memory and swap together; -1: as much as there is. `undefined` with a limit of memory: twice that. */
  memorySwapBytes: number | undefined;
  /** Billionths of a processor. */
  nanoCpus: number | undefined;
  cpuShares: number | undefined;
  /** Microseconds. */
  cpuPeriod: number | undefined;
  cpuQuota: number | undefined;
  /** Numbers and ranges: `0-2,7`. */
  cpusetCpus: string | undefined;
  cpusetMems: string | undefined;
  /** -1: none. */
  pidsLimit: number | undefined;
  blkioWeight: number | undefined;
  blkioWeightDevices: DeviceAmount[];
  /** Bytes, or calls, a second. */
  deviceReadBps: DeviceAmount[];
  deviceWriteBps: DeviceAmount[];
  deviceReadIops: DeviceAmount[];
  deviceWriteIops: DeviceAmount[];
  /** A slice, or a path without a leading slash. */
  cgroupParent: string | undefined;
}

/** How much of a device. */
export interface DeviceAmount {
  path: string;
  amount: number;
}

export interface UlimitRequest {
  name: RlimitName;
  /** RLIM_INFINITY for none. Seconds, bytes or counts, as getrlimit(2) has them. */
  soft: bigint;
  hard: bigint;
}

export type HealthAction = "kill" | "restart" | "stop";

export type HealthRequest =
  /** The image's, with what is given here in its place. Times in nanoseconds. */
  | {
    kind: "image";
    /** A line for the shell. */
    command: string | undefined;
    intervalNs: number | undefined;
    timeoutNs: number | undefined;
    startPeriodNs: number | undefined;
    startIntervalNs: number | undefined;
    retries: number | undefined;
    /** What becomes of a container that is unhealthy; undefined: nothing. */
    onFailure?: HealthAction;
  }
  | { kind: "none" };

export type RestartPolicy =
  | { kind: "no" }
  | { kind: "always" }
  | { kind: "unless-stopped" }
  /** 0: without end. */
  | { kind: "on-failure"; maxRetries: number };

export interface LogRequest {
  driver: "json-file" | "local" | "none";
  options: Map<string, string>;
}

/** Docker's size of /dev/shm. */
export const DEFAULT_SHM_BYTES: number = 64 * 1024 * 1024;

/** ctrl-p, ctrl-q. */
export const DEFAULT_DETACH_KEYS: readonly number[] = [16, 17];

/** A request that asks for nothing but an image: every default. A new object each time. */
export function newRunRequest(image: string | undefined): RunRequest {
  return {
    image,
    command: undefined,
    entrypoint: undefined,
    env: [],
    unsetEnv: [],
    workingDir: undefined,
    user: undefined,
    groupAdd: [],
    labels: new Map(),
    annotations: new Map(),
    hostname: undefined,
    domainname: undefined,
    extraHosts: [],
    dns: { servers: [], search: [], options: [] },
    network: { kind: "default" },
    endpoints: [],
    egress: [],
    links: [],
    ports: [],
    exposedPorts: [],
    publishAll: false,
    mounts: [],
    volumesFrom: [],
    devices: [],
    readOnlyRoot: false,
    shmSizeBytes: DEFAULT_SHM_BYTES,
    privileged: false,
    capAdd: [],
    capDrop: [],
    security: {
      seccomp: "default",
      noNewPrivileges: false,
      apparmor: undefined,
      label: undefined,
      systemPaths: "default",
      mask: [],
      unmask: [],
      writableCgroups: false,
    },
    userns: { kind: "default" },
    pid: { kind: "private" },
    ipc: { kind: "default" },
    uts: { kind: "private" },
    cgroupns: "private",
    limits: newLimits(),
    ulimits: [],
    sysctls: new Map(),
    oomScoreAdj: undefined,
    init: false,
    stopSignal: undefined,
    stopTimeoutSeconds: undefined,
    health: {
      kind: "image",
      command: undefined,
      intervalNs: undefined,
      timeoutNs: undefined,
      startPeriodNs: undefined,
      startIntervalNs: undefined,
      retries: undefined,
    },
    restart: { kind: "no" },
    log: { driver: "json-file", options: new Map() },
  };
}

/** The options of a run in the foreground that says nothing. A new object each time. */
export function newRunOptions(): RunOptions {
  return {
    name: undefined,
    rm: false,
    interactive: false,
    tty: false,
    detach: false,
    attach: undefined,
    detachKeys: [...DEFAULT_DETACH_KEYS],
    sigProxy: true,
    cidfile: undefined,
    pidfile: undefined,
    pull: "missing",
    platform: undefined,
    quiet: false,
    tlsVerify: undefined,
    rootfs: undefined,
    preservedFds: [],
  };
}
