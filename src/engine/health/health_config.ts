/**
 * What a container's health check is: the image's, with what was asked for in its place (Docker's rules). Pure.
 *
 * @module
 */
import { decodeRequest } from "#docker/request_codec.ts";
import type { HealthAction, HealthRequest } from "#docker/run_request.ts";
import { type Healthcheck, parseRunConfig, type RunConfig } from "#oci/image_config.ts";
import { isJsonObject } from "#oci/json.ts";
import type { ContainerRecord } from "../record/container_record.ts";

/** A health check, with every value decided. */
export interface HealthConfig {
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
  /** What becomes of a container that is unhealthy. */
  readonly onFailure: HealthAction | undefined;
}

/** Docker's, where neither image nor caller says anything. */
const DEFAULTS = { intervalMs: 30_000, timeoutMs: 30_000, startPeriodMs: 0, startIntervalMs: 5_000, retries: 3 };
const DEFAULT_SHELL = ["/bin/sh", "-c"];

/** In the form of an image, as `inspect` shows it; undefined where there is none. */
export function mergeHealthcheck(health: HealthRequest, image: Healthcheck | undefined): Healthcheck | undefined {
  if (health.kind === "none") return { Test: ["NONE"] };
  const own: Healthcheck = {
    ...(health.command === undefined ? {} : { Test: ["CMD-SHELL", health.command] }),
    ...(health.intervalNs === undefined ? {} : { Interval: health.intervalNs }),
    ...(health.timeoutNs === undefined ? {} : { Timeout: health.timeoutNs }),
    ...(health.startPeriodNs === undefined ? {} : { StartPeriod: health.startPeriodNs }),
    ...(health.startIntervalNs === undefined ? {} : { StartInterval: health.startIntervalNs }),
    ...(health.retries === undefined ? {} : { Retries: health.retries }),
  };
  const merged = { ...image, ...own };
  return Object.keys(merged).length === 0 ? undefined : merged;
}

/** The health check of a container; undefined where it has none. */
export function healthConfig(
  health: HealthRequest,
  { Healthcheck, Shell }: Pick<RunConfig, "Healthcheck" | "Shell">,
): HealthConfig | undefined {
  const merged = mergeHealthcheck(health, Healthcheck);
  const [kind, ...words] = merged?.Test ?? [];
  const command = kind === "CMD-SHELL" ? [...Shell ?? DEFAULT_SHELL, ...words] : kind === "CMD" ? words : [];
  if (merged === undefined || command.length === 0) return undefined;
  const ms = (ns: number | undefined, usual: number): number => ns === undefined || ns <= 0 ? usual : ns / 1e6;
  return {
    command,
    intervalMs: ms(merged.Interval, DEFAULTS.intervalMs),
    timeoutMs: ms(merged.Timeout, DEFAULTS.timeoutMs),
    startPeriodMs: ms(merged.StartPeriod, DEFAULTS.startPeriodMs),
    startIntervalMs: ms(merged.StartInterval, DEFAULTS.startIntervalMs),
    retries: merged.Retries !== undefined && merged.Retries > 0 ? merged.Retries : DEFAULTS.retries,
    onFailure: health.kind === "image" ? health.onFailure : undefined,
  };
}

/** The health check of a container on record. Most have none, which is seen without reading all of the record. */
export function healthConfigOf(record: Pick<ContainerRecord, "request" | "imageConfig">): HealthConfig | undefined {
  const { request, imageConfig } = record;
  if (request === undefined || !mayHaveCheck(record)) return undefined;
  try {
    const config = imageConfig === undefined ? {} : parseRunConfig(imageConfig, "the record of a container");
    return healthConfig(decodeRequest(request).request.health, config);
  } catch {
    // it cannot be started either, and says why then
    return undefined;
  }
}

function mayHaveCheck({ request, imageConfig }: Pick<ContainerRecord, "request" | "imageConfig">): boolean {
  if (imageConfig?.includes('"Healthcheck"')) return true;
  const inner = request !== undefined && isJsonObject(request) ? request["request"] : undefined;
  const health = inner !== undefined && isJsonObject(inner) ? inner["health"] : undefined;
  return health !== undefined && isJsonObject(health) && typeof health["command"] === "string";
}
