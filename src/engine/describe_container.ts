/**
 * What `inspect` tells of a container: Docker's fields, for the CLI and the API.
 *
 * @module
 */
import { join } from "node:path";
import type { JsonValue } from "#oci/json.ts";
import { LOG_FILE } from "#runtime/log_frame.ts";
import type { RecordedMount } from "./container_record.ts";
import type { Container, ContainerStatus } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { shownExitCode } from "./signal_container.ts";

/** Docker's word for what has become of a container; `unknown` of one on another machine. */
export function stateWord(status: ContainerStatus): string {
  return status.kind === "elsewhere" ? "unknown" : status.kind;
}

/** Go's zero time, which Docker gives for "never". */
const NEVER = "0001-01-01T00:00:00Z";

function timeText(ms: number | undefined): string {
  return ms === undefined ? NEVER : new Date(ms).toISOString();
}

/** A container in the shape of Docker's `GET /containers/ID/json`; keys from outside are in Maps. */
export function describeContainer(
  engine: Engine,
  container: Container,
  sizes: { ownBytes: number; allBytes: number } | undefined,
): Record<string, unknown> {
  const { record, status } = container;
  const { facts } = record;
  const directory = join(engine.dataRoot, "containers", record.id);
  const [path = "", ...args] = record.command;
  return {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: describeState(container),
    Image: record.imageId ?? "",
    ResolvConfPath: join(directory, "resolv.conf"),
    HostnamePath: join(directory, "hostname"),
    HostsPath: join(directory, "hosts"),
    LogPath: join(directory, LOG_FILE),
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: engine.storageDriver ?? "overlay",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: {
      Binds: null,
      NetworkMode: record.network,
      AutoRemove: record.rm,
      Privileged: facts["privileged"] === true,
      ReadonlyRootfs: facts["readonlyRootfs"] === true,
      CapAdd: facts["capAdd"] ?? null,
      CapDrop: facts["capDrop"] ?? null,
      ShmSize: facts["shmSizeBytes"] ?? 0,
      Init: facts["init"] === true,
      PidMode: hostText(facts["pid"]),
      IpcMode: facts["ipc"] ?? "private",
      UTSMode: hostText(facts["uts"]),
      UsernsMode: hostText(facts["userns"]),
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    },
    GraphDriver: { Data: null, Name: engine.storageDriver ?? "overlay" },
    ...(sizes === undefined ? {} : { SizeRw: sizes.ownBytes, SizeRootFs: sizes.allBytes }),
    Mounts: record.mounts.filter(({ kind }) => kind !== "tmpfs").map(describeMount),
    Config: {
      Hostname: facts["hostname"] ?? record.id.slice(0, 12),
      Domainname: facts["domainname"] ?? "",
      User: facts["user"] ?? "",
      Tty: facts["tty"] === true,
      OpenStdin: facts["openStdin"] === true,
      Env: facts["env"] ?? [],
      Cmd: facts["cmd"] ?? null,
      Image: record.image ?? facts["rootfs"] ?? "",
      Volumes: null,
      WorkingDir: facts["workingDir"] ?? "",
      Entrypoint: facts["entrypoint"] ?? null,
      Labels: record.labels,
      ...(record.stopSignal === undefined ? {} : { StopSignal: String(record.stopSignal) }),
      ...(record.stopTimeoutSeconds === undefined ? {} : { StopTimeout: record.stopTimeoutSeconds }),
    },
    NetworkSettings: { Ports: new Map(), Networks: new Map() },
    // ours: on which machine it was started, and why nothing is known of it here
    ...(status.kind === "elsewhere" ? { Machine: status.machine } : {}),
  };
}

/** Docker leaves out what is the default. */
function hostText(value: JsonValue | undefined): JsonValue {
  return value === undefined || value === "private" || value === "default" ? "" : value;
}

function describeState(container: Container): Record<string, unknown> {
  const { status } = container;
  const isRunning = status.kind === "running";
  const end = status.kind === "exited" || status.kind === "created" ? status.end : undefined;
  return {
    Status: stateWord(status),
    Running: isRunning,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: isRunning ? status.state.pid : 0,
    ExitCode: status.kind === "created" ? end?.exitCode ?? 0 : shownExitCode(container),
    Error: end?.error ?? "",
    StartedAt: timeText(isRunning ? status.state.startedMs : end?.startedMs),
    FinishedAt: timeText(end?.finishedMs),
  };
}

function describeMount(mount: RecordedMount): Record<string, unknown> {
  return {
    Type: mount.kind,
    ...(mount.volume === undefined ? {} : { Name: mount.volume }),
    Source: mount.source,
    Destination: mount.target,
    ...(mount.volume === undefined ? {} : { Driver: "local" }),
    Mode: mount.readOnly ? "ro" : "",
    RW: !mount.readOnly,
    Propagation: mount.kind === "bind" ? "rprivate" : "",
  };
}
