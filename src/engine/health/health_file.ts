import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject, type JsonValue, parseJson } from "#oci/json.ts";
import type { Engine } from "../engine.ts";
import { type Health, newHealth, type ProbeResult } from "./judge.ts";

type Places = Pick<Engine, "runRoot">;

function healthPath({ runRoot }: Places, id: string): string {
  return join(runRoot, "containers", id, "health.json");
}

/** The health of a container since the start at `startedMs`: a file of an earlier start tells nothing. */
export function readHealth(places: Places, id: string, startedMs: number | undefined): Health {
  try {
    const value = parseJson(readFileSync(healthPath(places, id)), "the health of a container", { maxBytes: 1 << 20 });
    if (!isJsonObject(value) || value["startedMs"] !== startedMs) return newHealth();
    const { status, failingStreak, log } = value;
    if (status !== "starting" && status !== "healthy" && status !== "unhealthy") return newHealth();
    return {
      status,
      failingStreak: typeof failingStreak === "number" ? failingStreak : 0,
      log: Array.isArray(log) ? log.flatMap(readProbe) : [],
    };
  } catch {
    return newHealth();
  }
}

function readProbe(value: JsonValue): ProbeResult[] {
  if (!isJsonObject(value)) return [];
  const { startMs, endMs, exitCode, output } = value;
  if (typeof startMs !== "number" || typeof endMs !== "number") return [];
  if (typeof exitCode !== "number" || typeof output !== "string") return [];
  return [{ startMs, endMs, exitCode, output }];
}

/** Writes it: beside, then renamed. */
export function writeHealth(places: Places, id: string, startedMs: number | undefined, health: Health): void {
  const path = healthPath(places, id);
  writeFileSync(`${path}.new`, JSON.stringify({ startedMs, ...health }), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
