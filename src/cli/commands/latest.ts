import { listContainers } from "#engine/record/containers.ts";
import type { Engine } from "#engine/engine.ts";
import { DugoutError } from "#oci/error.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch } from "../options.ts";

/**
 * The arguments of a command with `latestIsFirst`: with `--latest`, behind the id of the last container that was made.
 * @throws {DugoutError} CONTAINER_UNKNOWN, when there is none at all.
 */
export function withLatest(engine: Engine, { options, args }: Pick<Invocation, "options" | "args">): readonly string[] {
  if (!hasSwitch(options, "latest")) return args;
  const latest = listContainers(engine).containers[0];
  if (latest === undefined) {
    throw new DugoutError("CONTAINER_UNKNOWN", "There is no last container: none is on record", { exitCode: 1 });
  }
  return [latest.record.id, ...args];
}
