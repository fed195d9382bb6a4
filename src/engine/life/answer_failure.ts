import { SIGNALS } from "#linux/signals.ts";
import type { HealthAction } from "#docker/run_request.ts";
import type { Engine } from "../engine.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { noteStop } from "../record/stop_marks.ts";
import { restartContainer } from "./restart_container.ts";
import { killContainer, stopContainer } from "./stop_container.ts";

const ITS_OWN = { signal: undefined, timeoutSeconds: undefined };

/**
 * Does what `--health-on-failure` says with a container that is unhealthy. One that is killed may be started again by its
 * restart policy; one that is stopped is not.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING, where it has ended meanwhile; and what each way to end it throws.
 */
export async function answerFailure(engine: Engine, record: ContainerRecord, action: HealthAction): Promise<void> {
  switch (action) {
    case "kill":
      return killContainer(engine, record, SIGNALS.KILL);
    case "stop":
      noteStop(engine, record.id);
      return await stopContainer(engine, record, ITS_OWN);
    case "restart":
      await restartContainer(engine, record, ITS_OWN);
      return;
    default:
      throw new Error(`Unknown action ${action satisfies never}`);
  }
}
