import * as v from "valibot";
import type { Digest } from "./digest.ts";
import { DugoutError } from "./error.ts";
import { encodeJson, parseJson } from "./json.ts";
import { LIMITS } from "./limits.ts";
import type { Manifest } from "./manifest.ts";
import { isConfigType } from "./media_types.ts";
import type { Platform } from "./platform.ts";
import {
  compact,
  countSchema,
  digestSchema,
  integerSchema,
  keysSchema,
  mapSchema,
  optional,
  parseSchema,
  stringsSchema,
} from "./schema.ts";
import { quote } from "./text.ts";

/** Docker's HEALTHCHECK; times in nanoseconds, as in the JSON. `Test` begins with "NONE", "CMD" or "CMD-SHELL". */
export interface Healthcheck {
  Test?: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

/**
 * How to run the image (image-spec, config, "config"), with the fields that Docker has beyond it. Names are those of the JSON.
 * Objects with outside keys are Maps (Labels) or lists of their keys (ExposedPorts as `80/tcp`, Volumes as paths).
 */
export interface RunConfig {
  User?: string;
  ExposedPorts?: string[];
  Env?: string[];
  Entrypoint?: string[];
  Cmd?: string[];
  Volumes?: string[];
  WorkingDir?: string;
  Labels?: Map<string, string>;
  StopSignal?: string;
  ArgsEscaped?: boolean;
  Healthcheck?: Healthcheck;
  OnBuild?: string[];
  Shell?: string[];
  /** Seconds. */
  StopTimeout?: number;
}

/** One step of how the image was made; `empty_layer` ones have no layer (image-spec, config, "history"). */
export interface HistoryEntry {
  created?: string;
  created_by?: string;
  author?: string;
  comment?: string;
  empty_layer?: boolean;
}

/** The config of an image (image-spec, config). Its bytes' digest is the image id. */
export interface ImageConfig {
  architecture: string;
  os: string;
  variant?: string;
  osVersion?: string;
  created?: string;
  author?: string;
  config: RunConfig;
  /** The digests of the uncompressed layers, lowest first. */
  diffIds: Digest[];
  history: HistoryEntry[];
}

const strings = stringsSchema(LIMITS.configEntries);

const healthcheckSchema = v.object({
  Test: optional(strings),
  Interval: optional(integerSchema),
  Timeout: optional(integerSchema),
  StartPeriod: optional(integerSchema),
  StartInterval: optional(integerSchema),
  Retries: optional(integerSchema),
});

/** Docker wrote a lone string for some commands in its early years; podman and Docker both take it as a list of one. */
const commandSchema = v.union([strings, v.pipe(v.string(), v.transform((word) => [word]))]);

const runConfigSchema: v.GenericSchema<unknown, RunConfig> = v.pipe(
  v.object({
    User: optional(v.string()),
    ExposedPorts: optional(keysSchema(LIMITS.configEntries)),
    Env: optional(strings),
    Entrypoint: optional(commandSchema),
    Cmd: optional(commandSchema),
    Volumes: optional(keysSchema(LIMITS.configEntries)),
    WorkingDir: optional(v.string()),
    Labels: optional(mapSchema(v.string(), LIMITS.configEntries)),
    StopSignal: optional(v.string()),
    ArgsEscaped: optional(v.boolean()),
    Healthcheck: optional(v.pipe(healthcheckSchema, v.transform((raw): Healthcheck => compact(raw)))),
    OnBuild: optional(strings),
    Shell: optional(strings),
    StopTimeout: optional(countSchema),
  }),
  v.transform((raw): RunConfig => compact(raw)),
);

const historySchema = v.pipe(
  v.object({
    created: optional(v.string()),
    created_by: optional(v.string()),
    author: optional(v.string()),
    comment: optional(v.string()),
    empty_layer: optional(v.boolean()),
  }),
  v.transform((raw): HistoryEntry => compact(raw)),
);

const imageConfigSchema = v.object({
  architecture: optional(v.string()),
  os: optional(v.string()),
  variant: optional(v.string()),
  "os.version": optional(v.string()),
  created: optional(v.string()),
  author: optional(v.string()),
  config: optional(runConfigSchema),
  rootfs: v.object({
    type: v.literal("layers"),
    diff_ids: optional(v.pipe(v.array(digestSchema), v.maxLength(LIMITS.layers))),
  }),
  history: optional(v.pipe(v.array(historySchema), v.maxLength(LIMITS.history))),
});

/**
 * Parses the bytes of an image config.
 * @throws {DugoutError} CONFIG_INVALID, JSON_….
 */
export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const raw = parseSchema(
    imageConfigSchema,
    parseJson(bytes, what, { maxBytes: LIMITS.configBytes }),
    what,
    "CONFIG_INVALID",
  );
  return compact({
    architecture: raw.architecture ?? "",
    os: raw.os ?? "",
    variant: raw.variant === "" ? undefined : raw.variant,
    osVersion: raw["os.version"] === "" ? undefined : raw["os.version"],
    created: raw.created,
    author: raw.author,
    config: raw.config ?? {},
    diffIds: raw.rootfs.diff_ids ?? [],
    history: raw.history ?? [],
  });
}

/** A run config as text, for whoever keeps it beside an image: {@linkcode parseRunConfig} reads it. */
export function encodeRunConfig(config: RunConfig): string {
  return encodeJson(runConfigForJson(config));
}

/** Reads what {@linkcode encodeRunConfig} wrote. @throws {DugoutError} CONFIG_INVALID, JSON_…. */
export function parseRunConfig(text: string, what: string): RunConfig {
  const value = parseJson(new TextEncoder().encode(text), what, { maxBytes: LIMITS.configBytes });
  return parseSchema(runConfigSchema, value, what, "CONFIG_INVALID");
}

/** The platform that an image says it is for. */
export function configPlatform(config: ImageConfig): Platform {
  return compact({
    os: config.os,
    architecture: config.architecture,
    variant: config.variant,
    osVersion: config.osVersion,
  });
}

/**
 * Checks that a manifest is one of a container image and belongs to its config: as many layers as diff-ids (C-129, C-130). `history` may
 * be shorter or longer than the layers: tools disagree about it, and nothing depends on it.
 * @throws {DugoutError} NOT_AN_IMAGE, LAYERS_MISMATCH.
 */
export function checkConfigType(manifest: Manifest, what: string): void {
  if (isConfigType(manifest.config.mediaType)) return;
  throw new DugoutError(
    "NOT_AN_IMAGE",
    `Cannot use ${what}: not a container image (config type ${quote(manifest.config.mediaType)})`,
    {
      hint:
        "It is an artifact of another kind, such as a chart or a list of components; a tool for that kind can fetch it",
    },
  );
}

export function checkLayerCount(manifest: Manifest, config: ImageConfig, what: string): void {
  const [layers, diffIds] = [manifest.layers.length, config.diffIds.length];
  if (layers === diffIds) return;
  throw new DugoutError(
    "LAYERS_MISMATCH",
    `Cannot use ${what}: its manifest has ${layers} layers but its config has ${diffIds} diff-ids`,
  );
}

/** History entries with the layer that each made, if it made one; layers without an entry are left out. */
export function pairHistory<T>(config: ImageConfig, layers: readonly T[]): { entry: HistoryEntry; layer?: T }[] {
  let next = 0;
  return config.history.map((entry) => {
    const layer = entry.empty_layer === true ? undefined : layers[next++];
    return layer === undefined ? { entry } : { entry, layer };
  });
}

function keysAsObject(keys: readonly string[] | undefined): Map<string, object> | undefined {
  return keys === undefined ? undefined : new Map(keys.map((key) => [key, {}]));
}

/** A run config as JSON-able data with Docker's names (see `encodeJson` for the Maps in it); also what `inspect` shows. */
export function runConfigForJson(config: RunConfig): object {
  return compact({ ...config, ExposedPorts: keysAsObject(config.ExposedPorts), Volumes: keysAsObject(config.Volumes) });
}

/** The bytes of a new image config, as for `commit` and `import`. Configs that came from outside are kept as they came. */
export function encodeImageConfig(config: ImageConfig): Uint8Array {
  return new TextEncoder().encode(encodeJson(compact({
    architecture: config.architecture,
    os: config.os,
    variant: config.variant,
    "os.version": config.osVersion,
    created: config.created,
    author: config.author,
    config: runConfigForJson(config.config),
    rootfs: { type: "layers", diff_ids: config.diffIds },
    history: config.history,
  })));
}
