/**
 * What `inspect` tells of a container: Docker's fields, for the CLI and the API.
 *
 * @module
 */
import { join } from "node:path";
import { decodeRequest, type KeptOptions } from "#docker/request_codec.ts";
import {
  type AttachStream,
  newRunOptions,
  newRunRequest,
  type PortRange,
  type RunRequest,
} from "#docker/run_request.ts";
import { signalName } from "#linux/signals.ts";
import { parseRunConfig, type RunConfig } from "#oci/image_config.ts";
import { LOG_FILE } from "#runtime/log_frame.ts";
import type { ContainerRecord, RecordedMount } from "../record/container_record.ts";
import { describeHealth, healthOf } from "../health/describe_health.ts";
import { mergeHealthcheck } from "../health/health_config.ts";
import type { Container, ContainerStatus } from "../record/containers.ts";
import { defaultNetworkKind } from "../network/wants_networks.ts";
import { describeNetworkSettings } from "./describe_networks.ts";
import { describeHostConfig } from "./describe_host_config.ts";
import type { Engine } from "../engine.ts";
import { shownExitCode } from "../record/containers.ts";

/** Docker's word for what has become of a container; `unknown` of one on another machine. */
export function stateWord(status: ContainerStatus): string {
  if (status.kind === "exited" && status.isRestarting) return "restarting";
  if (status.kind === "running" && status.isPaused) return "paused";
  return status.kind === "elsewhere" ? "unknown" : status.kind;
}

/** Go's zero time, which Docker gives for "never". */
const NEVER = "0001-01-01T00:00:00Z";

function timeText(ms: number | undefined): string {
  return ms === undefined ? NEVER : new Date(ms).toISOString();
}

/** The networks that a container is made for: names, or `container:ID`; the first one is its mode. */
export function shownNetworks({ network }: ContainerRecord): string[] {
  return network.split(",").map((name) => name === "default" ? defaultNetworkKind() : name);
}

/** Ports that its image or its maker says it listens at: `80/tcp`. */
export function exposedPorts(record: ContainerRecord): string[] {
  return exposedIn(readImageConfig(record), readKept(record).request);
}

function exposedIn(config: RunConfig, { exposedPorts, ports }: RunRequest): string[] {
  const published = ports.flatMap(({ containerPorts }) => portTexts(containerPorts));
  return [...new Set([...config.ExposedPorts ?? [], ...exposedPorts.flatMap(portTexts), ...published])];
}

/** A container in the shape of Docker's `GET /containers/ID/json`; keys from outside are in Maps. */
export function describeContainer(
  engine: Engine,
  container: Container,
  sizes: { ownBytes: number; allBytes: number } | undefined,
): Record<string, unknown> {
  const { record, status } = container;
  const { request, options } = readKept(record);
  const networks = shownNetworks(record);
  const directory = join(engine.dataRoot, "containers", record.id);
  const [path = "", ...args] = record.command;
  return {
    Id: record.id,
    Created: record.created,
    Path: path,
    Args: args,
    State: describeState(engine, container),
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
    HostConfig: describeHostConfig({ request, options, mounts: record.mounts, network: networks[0]! }),
    GraphDriver: { Data: null, Name: engine.storageDriver ?? "overlay" },
    ...(sizes === undefined ? {} : { SizeRw: sizes.ownBytes, SizeRootFs: sizes.allBytes }),
    Mounts: record.mounts.filter(({ kind }) => kind !== "tmpfs").map(describeMount),
    Config: describeConfig(record, request, options),
    NetworkSettings: describeNetworkSettings(engine, record.id, {
      names: networks,
      request,
      isRunning: status.kind === "running",
      exposed: exposedIn(readImageConfig(record), request),
    }),
    // ours: on which machine it was started, and why nothing is known of it here
    ...(status.kind === "elsewhere" ? { Machine: status.machine } : {}),
  };
}

/** What it was made with; of a record of an older program that does not say it, the defaults. */
function readKept({ request }: ContainerRecord): { request: RunRequest; options: KeptOptions } {
  try {
    if (request !== undefined) return decodeRequest(request);
  } catch {
    // what can be told of it is told
  }
  return { request: newRunRequest(undefined), options: newRunOptions() };
}

function describeConfig(record: ContainerRecord, request: RunRequest, options: KeptOptions): Record<string, unknown> {
  const { facts } = record;
  const config = readImageConfig(record);
  const attached = (stream: AttachStream, usual: boolean): boolean => options.attach?.includes(stream) ?? usual;
  const ports = exposedIn(config, request);
  const volumes = record.mounts.filter(({ isAnonymous }) => isAnonymous === true).map(({ target }) => target);
  const { Test, ...times } = mergeHealthcheck(request.health, config.Healthcheck) ?? {};
  return {
    Hostname: facts["hostname"] ?? record.id.slice(0, 12),
    Domainname: facts["domainname"] ?? "",
    User: facts["user"] ?? "",
    AttachStdin: attached("stdin", options.interactive && !options.detach),
    AttachStdout: attached("stdout", !options.detach),
    AttachStderr: attached("stderr", !options.detach),
    ExposedPorts: ports.length === 0 ? undefined : new Map(ports.map((port) => [port, {}])),
    Tty: options.tty,
    OpenStdin: options.interactive,
    StdinOnce: options.interactive && !options.detach,
    Env: facts["env"] ?? [],
    Cmd: facts["cmd"] ?? null,
    Healthcheck: Test === undefined ? undefined : { Test, ...times },
    Image: record.image ?? facts["rootfs"] ?? "",
    Volumes: volumes.length === 0 ? null : new Map(volumes.map((target) => [target, {}])),
    WorkingDir: facts["workingDir"] ?? "",
    Entrypoint: facts["entrypoint"] ?? null,
    OnBuild: config.OnBuild ?? null,
    Labels: record.labels,
    StopSignal: record.stopSignal === undefined ? undefined : signalName(record.stopSignal),
    StopTimeout: record.stopTimeoutSeconds,
  };
}

function readImageConfig({ imageConfig }: ContainerRecord): RunConfig {
  try {
    return parseRunConfig(imageConfig ?? "{}", "the record of a container");
  } catch {
    return {};
  }
}

function portTexts({ first, last, protocol }: PortRange): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}

function describeState(engine: Engine, container: Container): Record<string, unknown> {
  const { status } = container;
  const health = healthOf(engine, container);
  const isRunning = status.kind === "running";
  const isRestarting = status.kind === "exited" && status.isRestarting === true;
  const end = status.kind === "exited" || status.kind === "created" ? status.end : undefined;
  return {
    Status: stateWord(status),
    // docker's restarting ones count as running
    Running: isRunning || isRestarting,
    Paused: isRunning && status.isPaused === true,
    Restarting: isRestarting,
    OOMKilled: end?.oomKilled === true,
    Dead: false,
    Pid: isRunning ? status.state.pid : 0,
    ExitCode: status.kind === "created" ? end?.exitCode ?? 0 : shownExitCode(container),
    Error: end?.error ?? "",
    StartedAt: timeText(isRunning ? status.state.startedMs : end?.startedMs),
    FinishedAt: timeText(end?.finishedMs),
    // templates may ask for it
    Health: health === undefined ? undefined : describeHealth(health),
  };
}

function describeMount(mount: RecordedMount): Record<string, unknown> {
  return {
    Type: mount.kind,
    Name: mount.volume,
    Source: mount.source,
    Destination: mount.target,
    Driver: mount.volume === undefined ? undefined : "local",
    Mode: mount.readOnly ? "ro" : "",
    RW: !mount.readOnly,
    Propagation: mount.kind === "bind" ? "rprivate" : "",
  };
}
