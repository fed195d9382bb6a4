import { findContainer } from "#engine/record/containers.ts";
import { checkHealth } from "#engine/health/check_health.ts";
import { healthConfigOf } from "#engine/health/health_config.ts";
import { answerFailure } from "#engine/life/answer_failure.ts";
import { requireRunning } from "#engine/inside/require_running.ts";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";
import { openContainerContext } from "../context.ts";
import type { Invocation } from "../invocation.ts";
import { printOut } from "../output.ts";
import { recordOf } from "./containers.ts";

/** `dugout healthcheck run` @returns 0 when it is well, 1 when it is not. */
export async function runHealthcheck({ args, global }: Invocation): Promise<number> {
  const engine = await openContainerContext(global);
  const [name = ""] = args;
  const record = recordOf(findContainer(engine, name));
  const config = healthConfigOf(record);
  if (config === undefined) {
    throw new DugoutError("HEALTH_UNDEFINED", `Cannot check the container ${quote(name)}: it has no health check`, {
      hint: "--health-cmd gives one to a new container",
    });
  }
  const { probe, status } = await checkHealth(engine, record, requireRunning(engine, record.id), config);
  if (probe.exitCode === 0) return 0;
  if (status === "unhealthy" && config.onFailure !== undefined) await answerFailure(engine, record, config.onFailure);
  printOut("unhealthy\n");
  return 1;
}
