import type { Container } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { healthConfigOf } from "./health_config.ts";
import { readHealth } from "./health_file.ts";
import type { Health } from "./judge.ts";

/** The health of a container as it is told of; undefined where it has no check. One that does not run is unhealthy, as with Docker. */
export function healthOf(engine: Pick<Engine, "runRoot">, { record, status }: Container): Health | undefined {
  if (healthConfigOf(record) === undefined || status.kind === "created") return undefined;
  const health = readHealth(engine, record.id, status.kind === "running" ? status.state.startedMs : record.startedMs);
  return status.kind === "running" ? health : { ...health, status: "unhealthy" };
}

/** In the shape of Docker's `State.Health`. */
export function describeHealth({ status, failingStreak, log }: Health): Record<string, unknown> {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ startMs, endMs, exitCode, output }) => ({
      Start: new Date(startMs).toISOString(),
      End: new Date(endMs).toISOString(),
      ExitCode: exitCode,
      Output: output,
    })),
  };
}
