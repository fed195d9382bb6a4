import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Pid } from "#linux/call.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import { keepMark } from "./last_work.ts";
import { startAgain } from "./start_again.ts";
import { leaveContainer } from "./stay_with_container.ts";
import { stopContainer, type StopOptions } from "./stop_container.ts";

/**
 * Stops a container, where it runs, and starts it. One with `--rm` is not removed in between.
 * @returns Its monitor, a child of this process; undefined where somebody else has started it meanwhile.
 * @throws What {@linkcode stopContainer} and {@linkcode startAgain} throw.
 */
export async function restartContainer(
  engine: Engine,
  record: ContainerRecord,
  options: StopOptions,
): Promise<Pid | undefined> {
  const mark = keepMark({ ...engine, id: record.id });
  try {
    if (record.rm) {
      mkdirSync(dirname(mark), { recursive: true, mode: 0o700 });
      writeFileSync(mark, "", { mode: 0o600 });
    }
    await stopContainer(engine, record, options);
    const outcome = await startAgain(engine, record);
    if (outcome.kind === "started") {
      await leaveContainer(engine, outcome.container.plan.directory, outcome.started);
    }
    noteEvent(engine, containerEvent(record, "restart"));
    return outcome.kind === "started" ? outcome.started.running.monitor : undefined;
  } finally {
    rmSync(mark, { force: true });
  }
}
