/**
 * What a container was asked for, in the shape of Docker's `HostConfig`.
 *
 * @module
 */
import type {
  DeviceAmount,
  LimitsRequest,
  RunOptions,
  RunRequest,
  SecurityRequest,
  UlimitRequest,
} from "#docker/run_request.ts";
import type { RecordedMount } from "../record/container_record.ts";
import { describePortBindings } from "./describe_networks.ts";
import { MASKED_PATHS, READONLY_PATHS } from "../prepare/system_paths.ts";

/** What a host configuration is made of. */
export interface HostConfigInput {
  readonly request: RunRequest;
  readonly options: Pick<RunOptions, "rm">;
  /** As they are, volumes with the names that they were given. */
  readonly mounts: readonly RecordedMount[];
  readonly network: string;
}

/** Docker's `HostConfig`: in its order, with nulls and empty lists where it has them. */
export function describeHostConfig({ request, options, mounts, network }: HostConfigInput): Record<string, unknown> {
  const tmpfs = mounts.filter(({ kind }) => kind === "tmpfs");
  return {
    Binds: listOrNull(mounts.flatMap(describeBind)),
    ContainerIDFile: "",
    LogConfig: { Type: request.log.driver, Config: request.log.options },
    NetworkMode: network,
    PortBindings: describePortBindings(request.ports),
    RestartPolicy: describeRestart(request.restart),
    AutoRemove: options.rm,
    VolumeDriver: "",
    VolumesFrom: listOrNull(
      request.volumesFrom.map(({ container, readOnly }) => readOnly === true ? `${container}:ro` : container),
    ),
    ConsoleSize: [0, 0],
    CapAdd: listOrNull(request.capAdd),
    CapDrop: listOrNull(request.capDrop),
    CgroupnsMode: request.cgroupns,
    Dns: listOrNull(request.dns.servers),
    DnsOptions: request.dns.options,
    DnsSearch: request.dns.search,
    ExtraHosts: listOrNull(
      request.extraHosts.map(({ name, address }) => `${name}:${typeof address === "string" ? address : address.kind}`),
    ),
    GroupAdd: listOrNull(request.groupAdd),
    IpcMode: request.ipc.kind === "default" ? "private" : modeText(request.ipc),
    Cgroup: "",
    Links: listOrNull(request.links.map(({ container, alias }) => `/${container}:/${alias}`)),
    OomScoreAdj: request.oomScoreAdj ?? 0,
    PidMode: unlessPrivate(request.pid),
    Privileged: request.privileged,
    PublishAllPorts: request.publishAll,
    ReadonlyRootfs: request.readOnlyRoot,
    SecurityOpt: listOrNull(describeSecurity(request.security)),
    Tmpfs: tmpfs.length === 0 ? undefined : new Map(tmpfs.map(({ target }) => [target, ""])),
    UTSMode: unlessPrivate(request.uts),
    UsernsMode: request.userns.kind === "container"
      ? modeText(request.userns)
      : request.userns.kind === "default"
      ? ""
      : request.userns.kind,
    ShmSize: request.shmSizeBytes,
    Sysctls: request.sysctls.size === 0 ? undefined : request.sysctls,
    Runtime: "dugout",
    Isolation: "",
    ...describeLimits(request.limits),
    Devices: request.devices.map(({ hostPath, containerPath, access }) => ({
      PathOnHost: hostPath,
      PathInContainer: containerPath,
      CgroupPermissions: `${access.read ? "r" : ""}${access.write ? "w" : ""}${access.mknod ? "m" : ""}`,
    })),
    DeviceCgroupRules: null,
    DeviceRequests: null,
    Ulimits: request.ulimits.map(describeUlimit),
    Init: request.init ? true : undefined,
    ...describeMasks(request),
    Annotations: request.annotations.size === 0 ? undefined : request.annotations,
  };
}

/** Docker's fields of limits, with what it has for those that are not set. */
export function describeLimits(limits: LimitsRequest): Record<string, unknown> {
  const rates = (devices: readonly DeviceAmount[]) => devices.map(({ path, amount }) => ({ Path: path, Rate: amount }));
  const memory = limits.memoryBytes ?? 0;
  return {
    CpuShares: limits.cpuShares ?? 0,
    Memory: memory,
    NanoCpus: limits.nanoCpus ?? 0,
    CgroupParent: limits.cgroupParent ?? "",
    BlkioWeight: limits.blkioWeight ?? 0,
    BlkioWeightDevice: limits.blkioWeightDevices.map(({ path, amount }) => ({ Path: path, Weight: amount })),
    BlkioDeviceReadBps: rates(limits.deviceReadBps),
    BlkioDeviceWriteBps: rates(limits.deviceWriteBps),
    BlkioDeviceReadIOps: rates(limits.deviceReadIops),
    BlkioDeviceWriteIOps: rates(limits.deviceWriteIops),
    CpuPeriod: limits.cpuPeriod ?? 0,
    CpuQuota: limits.cpuQuota ?? 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: limits.cpusetCpus ?? "",
    CpusetMems: limits.cpusetMems ?? "",
    MemoryReservation: limits.memoryReservationBytes ?? 0,
    MemorySwap: limits.memorySwapBytes ?? memory * 2,
    MemorySwappiness: null,
    OomKillDisable: null,
    PidsLimit: limits.pidsLimit ?? null,
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}

function listOrNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

/** As `-v` would have it; volumes without a name are told of below `Mounts` only. */
function describeBind({ kind, source, target, volume, isAnonymous, readOnly }: RecordedMount): string[] {
  if ((kind !== "bind" && kind !== "volume") || isAnonymous === true) return [];
  return [`${volume ?? source}:${target}${readOnly ? ":ro" : ""}`];
}

function describeRestart(policy: RunRequest["restart"]): { Name: string; MaximumRetryCount: number } {
  return { Name: policy.kind, MaximumRetryCount: policy.kind === "on-failure" ? policy.maxRetries : 0 };
}

function describeSecurity(security: SecurityRequest): string[] {
  const { seccomp } = security;
  return [
    ...(seccomp === "default" ? [] : [`seccomp=${typeof seccomp === "string" ? seccomp : seccomp.text}`]),
    ...(security.noNewPrivileges ? ["no-new-privileges"] : []),
    ...(security.apparmor === undefined ? [] : [`apparmor=${security.apparmor}`]),
    ...(security.label === undefined ? [] : [`label=${security.label}`]),
    ...(security.writableCgroups ? ["writable-cgroups=true"] : []),
  ];
}

function describeUlimit({ name, soft, hard }: UlimitRequest): Record<string, unknown> {
  // docker has -1 for none
  const number = (limit: bigint): number => limit >= 2n ** 63n ? -1 : Number(limit);
  return { Name: name.replace(/^RLIMIT_/, "").toLowerCase(), Hard: number(hard), Soft: number(soft) };
}

function describeMasks({ privileged, security }: RunRequest): Record<string, unknown> {
  if (privileged || security.systemPaths === "unconfined" || security.unmask === "all") {
    return { MaskedPaths: null, ReadonlyPaths: null };
  }
  const { mask, unmask } = security;
  const shown = (paths: readonly string[]): string[] => paths.filter((path) => !unmask.includes(path));
  return { MaskedPaths: [...shown(MASKED_PATHS), ...mask], ReadonlyPaths: shown(READONLY_PATHS) };
}

/** `host`, `container:ID`, … */
export function modeText(mode: { readonly kind: string; readonly id?: string }): string {
  return mode.id === undefined ? mode.kind : `${mode.kind}:${mode.id}`;
}

function unlessPrivate(mode: { readonly kind: string; readonly id?: string }): string {
  return mode.kind === "private" ? "" : modeText(mode);
}
