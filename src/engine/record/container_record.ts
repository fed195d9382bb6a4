/**
 * What is written down about a container when it is made: `containers/<id>/config.json`. Whoever lists, removes or
 * inspects containers reads these files, and believes nothing else about those that do not run.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type IdMap, mapName } from "#linux/idmap.ts";
import { parseSignal } from "#linux/signals.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { encodeRunConfig } from "#oci/image_config.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "#oci/json.ts";
import { encodeRequest } from "#docker/request_codec.ts";
import type { MountRequest, RunOptions, RunRequest } from "#docker/run_request.ts";
import { listDirectory } from "#storage/content.ts";
import { describeRoot, type RootSource } from "../prepare/prepare.ts";
import { commandOf, keptImageEnv } from "../prepare/spec.ts";
import { type Whereabouts, whereabouts } from "./whereabouts.ts";

/** A mount as it is told of later. */
export interface RecordedMount {
  readonly kind: MountRequest["kind"];
  readonly target: string;
  /** Of a bind the path on this machine, of a volume its data, of an image the reference. */
  readonly source: string;
  /** Of a volume. */
  readonly volume?: string;
  /** Whether the volume was made for this container and goes with it. */
  readonly isAnonymous?: boolean;
  readonly readOnly: boolean;
  readonly subpath?: string;
}

/** A container on record. */
export interface ContainerRecord extends Whereabouts {
  readonly id: string;
  readonly name: string;
  /** As it was typed; undefined of a directory. */
  readonly image: string | undefined;
  readonly imageId: Digest | undefined;
  /** ISO 8601. */
  readonly created: string;
  /** Whether it goes when it ends. */
  readonly rm: boolean;
  /** `mapName` of its ids. */
  readonly map: string;
  /** Diff-ids, in hexadecimal, of all layers that it lies on or mounts. */
  readonly lowers: readonly string[];
  /** Images that it mounts. */
  readonly mountedImages: readonly string[];
  readonly command: readonly string[];
  readonly mounts: readonly RecordedMount[];
  readonly labels: ReadonlyMap<string, string>;
  readonly network: string;
  /** What its end is asked for with, and how long it may take. */
  readonly stopSignal: number | undefined;
  readonly stopTimeoutSeconds: number | undefined;
  /** What `inspect` tells besides: shown, not used. */
  readonly facts: JsonObject;
  /** What it is planned from at each start, for `decodeRequest`; undefined in records of older programs. */
  readonly request: JsonValue | undefined;
  /** The image's part of that, for `parseRunConfig`. */
  readonly imageConfig: string | undefined;
  /** How many of {@linkcode lowers}, from the first on, are its own root's. */
  readonly rootLayers: number;
  /** What was typed behind `run` or `create`; empty where it does not say all, or nobody typed it. */
  readonly words: readonly string[];
  /** Whether it was made and has never been started. */
  readonly isNew: boolean;
  /** Milliseconds since 1970, of the last start. */
  readonly startedMs: number | undefined;
  /** How often it was started again by its restart policy since somebody started it. */
  readonly restartCount: number;
}

/** What a record is made of. */
export interface RecordInput {
  readonly id: string;
  readonly name: string;
  readonly request: RunRequest;
  readonly options: RunOptions;
  readonly root: RootSource;
  readonly map: IdMap;
  readonly mounts: readonly RecordedMount[];
  readonly mountedImages?: readonly { readonly id: string; readonly lowers: readonly string[] }[];
}

/** A container's labels: the image's, and those that were asked for. */
export function labelsOf(config: RootSource["config"], request: RunRequest): Map<string, string> {
  return new Map([...config.Labels ?? [], ...request.labels]);
}

/** The record of a new container, as JSON. @throws {DugoutError} NO_COMMAND. */
export function makeRecord(input: RecordInput): Record<string, unknown> {
  const { request, options, root, map } = input;
  const { config } = root;
  const described = describeRoot(root, map);
  const images = input.mountedImages ?? [];
  return {
    id: input.id,
    name: input.name,
    image: request.image,
    imageId: root.imageId,
    created: new Date().toISOString(),
    rm: options.rm,
    map: mapName(map),
    lowers: [...described.lowers, ...images.flatMap(({ lowers }) => lowers)],
    mountedImages: images.map(({ id }) => id),
    command: commandOf(request, config),
    mounts: input.mounts,
    labels: Object.fromEntries(labelsOf(config, request)),
    network: networkNames(request),
    stopSignal: request.stopSignal ?? config.StopSignal,
    stopTimeoutSeconds: request.stopTimeoutSeconds,
    ...whereabouts(),
    request: encodeRequest(request, options),
    imageConfig: encodeRunConfig(config),
    rootLayers: described.lowers.length,
    facts: {
      hostname: request.hostname,
      domainname: request.domainname,
      user: request.user ?? config.User,
      env: [...keptImageEnv(config, request), ...request.env.map(([key, value]) => `${key}=${value}`)],
      entrypoint: request.entrypoint ?? config.Entrypoint,
      cmd: request.command ?? config.Cmd,
      workingDir: request.workingDir ?? config.WorkingDir,
      tty: options.tty,
      openStdin: options.interactive,
      readonlyRootfs: request.readOnlyRoot,
      privileged: request.privileged,
      capAdd: request.capAdd,
      capDrop: request.capDrop,
      shmSizeBytes: request.shmSizeBytes,
      init: request.init,
      pid: modeText(request.pid),
      ipc: modeText(request.ipc),
      uts: modeText(request.uts),
      userns: request.userns.kind === "container" ? modeText(request.userns) : request.userns.kind,
      rootfs: options.rootfs?.path,
    },
  };
}

function modeText(mode: { kind: string; id?: string }): string {
  return mode.id === undefined ? mode.kind : `${mode.kind}:${mode.id}`;
}

/** How mounts that need nothing made are told of. */
export function recordMounts(mounts: readonly MountRequest[]): RecordedMount[] {
  return mounts.map((mount) => ({
    kind: mount.kind,
    target: mount.target,
    source: mount.kind === "bind" ? mount.source : "",
    readOnly: mount.readOnly,
  }));
}

const MAX_RECORD_BYTES = 16 << 20;

/** Whether a container has a record, readable or not: one without is on its way in or out. */
export function hasRecord(dataRoot: string, id: string): boolean {
  return existsSync(join(dataRoot, "containers", id, "config.json"));
}

/** All containers, and the ids of those whose record cannot be read: on their way in or out, or damaged. */
export function listRecords(dataRoot: string): { records: ContainerRecord[]; damaged: string[] } {
  const records: ContainerRecord[] = [];
  const damaged: string[] = [];
  for (const id of listDirectory(join(dataRoot, "containers")).filter((name) => /^[0-9a-f]{64}$/.test(name))) {
    const record = readRecord(dataRoot, id);
    if (record === undefined) damaged.push(id);
    else records.push(record);
  }
  return { records, damaged };
}

/** A container's record; undefined where there is none that can be read. */
export function readRecord(dataRoot: string, id: string): ContainerRecord | undefined {
  try {
    const bytes = readFileSync(join(dataRoot, "containers", id, "config.json"));
    if (bytes.length > MAX_RECORD_BYTES) return undefined;
    // the runtime's own parser, which is many times as quick for a hundred records: each field is looked at by its name and
    // type, labels as own keys
    const value = JSON.parse(bytes.toString("utf8")) as JsonValue;
    return isJsonObject(value) ? decodeRecord(id, value) : undefined;
  } catch {
    return undefined;
  }
}

function decodeRecord(id: string, value: JsonObject): ContainerRecord {
  const text = (key: string): string => readText(value[key]) ?? "";
  const imageId = readText(value["imageId"]);
  const { stopSignal, stopTimeoutSeconds, facts } = value;
  return {
    id,
    name: text("name") || id.slice(0, 12),
    image: readText(value["image"]),
    imageId: imageId !== undefined && isDigest(imageId) ? imageId : undefined,
    created: text("created"),
    rm: value["rm"] === true,
    map: text("map"),
    lowers: readTexts(value["lowers"]),
    mountedImages: readTexts(value["mountedImages"]),
    command: readTexts(value["command"]),
    mounts: Array.isArray(value["mounts"]) ? value["mounts"].filter(isJsonObject).map(decodeMount) : [],
    labels: readLabels(value["labels"]),
    network: text("network"),
    stopSignal: typeof stopSignal === "number" ? stopSignal : parseSignal(readText(stopSignal) ?? ""),
    stopTimeoutSeconds: readNumber(stopTimeoutSeconds),
    bootId: text("bootId"),
    machine: text("machine"),
    pidNamespace: text("pidNamespace"),
    ownerPid: readNumber(value["ownerPid"]) ?? 0,
    ownerStartTime: text("ownerStartTime"),
    facts: facts !== undefined && isJsonObject(facts) ? facts : {},
    request: value["request"],
    imageConfig: readText(value["imageConfig"]),
    rootLayers: readNumber(value["rootLayers"]) ?? 0,
    words: readTexts(value["words"]),
    isNew: value["isNew"] === true,
    startedMs: readNumber(value["startedMs"]),
    restartCount: readNumber(value["restartCount"]) ?? 0,
  };
}

function decodeMount(value: JsonObject): RecordedMount {
  const kind = readText(value["kind"]);
  const volume = readText(value["volume"]);
  const subpath = readText(value["subpath"]);
  return {
    kind: kind === "volume" || kind === "image" || kind === "tmpfs" ? kind : "bind",
    target: readText(value["target"]) ?? "",
    source: readText(value["source"]) ?? "",
    ...(volume === undefined ? {} : { volume, isAnonymous: value["isAnonymous"] === true }),
    readOnly: value["readOnly"] === true,
    ...(subpath === undefined ? {} : { subpath }),
  };
}

function readText(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function readNumber(value: JsonValue | undefined): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function readTexts(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === "string") : [];
}

function readLabels(value: JsonValue | undefined): Map<string, string> {
  const labels = new Map<string, string>();
  if (value === undefined || !isJsonObject(value)) return labels;
  for (const [key, text] of Object.entries(value)) if (typeof text === "string") labels.set(key, text);
  return labels;
}

/** The networks that a container is made for, with commas between; or its mode. */
export function networkNames({ network, endpoints }: Pick<RunRequest, "network" | "endpoints">): string {
  const modes = endpoints.length === 0 ? [network] : endpoints.map((endpoint) => endpoint.network);
  return modes.map((mode) => {
    if (mode.kind === "container") return `container:${mode.id}`;
    return mode.kind === "bridge" ? mode.network : mode.kind;
  }).join(",");
}
