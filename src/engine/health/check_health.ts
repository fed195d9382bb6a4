import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { withContainerLock } from "../record/lock_container.ts";
import type { ContainerState } from "../record/container_state.ts";
import { readHealth, writeHealth } from "./health_file.ts";
import type { HealthConfig } from "./health_config.ts";
import { type HealthWord, judge, type ProbeResult } from "./judge.ts";
import { runProbe } from "./probe.ts";

/**
 * Probes a container that runs, and notes what it means for its health.
 * @returns The probe, and the health then; `status` is undefined where the container was removed meanwhile.
 */
export async function checkHealth(
  engine: Engine,
  record: ContainerRecord,
  { startedMs }: Pick<ContainerState, "startedMs">,
  config: HealthConfig,
): Promise<{ readonly probe: ProbeResult; readonly status: HealthWord | undefined }> {
  const probe = await runProbe(engine, record.id, config);
  // others may have probed meanwhile, by hand
  const status = await withContainerLock(engine, record.id, () => {
    const before = readHealth(engine, record.id, startedMs);
    const after = judge(before, probe, config, startedMs);
    try {
      writeHealth(engine, record.id, startedMs, after);
    } catch (error) {
      // it ended and was removed while it was probed
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    if (after.status !== before.status) noteEvent(engine, containerEvent(record, `health_status: ${after.status}`));
    return after.status;
  });
  return { probe, status };
}
