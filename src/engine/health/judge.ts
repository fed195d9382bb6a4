/**
 * What a probe means for a container's health, and when the next one is due: Docker's rules. Pure.
 *
 * @module
 */
import type { HealthConfig } from "./health_config.ts";

export type HealthWord = "starting" | "healthy" | "unhealthy";

/** One probe. Times in milliseconds since 1970. */
export interface ProbeResult {
  readonly startMs: number;
  readonly endMs: number;
  /** The program's; -1 where it was killed for taking too long, or could not be run. */
  readonly exitCode: number;
  readonly output: string;
}

/** The health of a container since its last start. */
export interface Health {
  readonly status: HealthWord;
  readonly failingStreak: number;
  /** The last probes, the oldest first. */
  readonly log: readonly ProbeResult[];
}

/** So many probes are kept. */
const MOST_LOGGED = 5;

/** A container that was not probed yet. */
export function newHealth(): Health {
  return { status: "starting", failingStreak: 0, log: [] };
}

/** The health behind one more probe. */
export function judge(health: Health, probe: ProbeResult, config: HealthConfig, startedMs: number): Health {
  const log = [...health.log, probe].slice(-MOST_LOGGED);
  if (probe.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  // what fails while it starts does not count, unless it was well already
  const isStarting = health.status === "starting" && probe.startMs - startedMs < config.startPeriodMs;
  if (isStarting) return { ...health, log };
  const failingStreak = health.failingStreak + 1;
  return { status: failingStreak >= config.retries ? "unhealthy" : health.status, failingStreak, log };
}

/** When the next probe is due: so long behind the last one, or the start. */
export function nextProbeMs(health: Health, config: HealthConfig, startedMs: number): number {
  const lastMs = health.log.at(-1)?.endMs ?? startedMs;
  const isStarting = health.status === "starting" && lastMs - startedMs < config.startPeriodMs;
  return lastMs + (isStarting ? Math.min(config.startIntervalMs, config.intervalMs) : config.intervalMs);
}
