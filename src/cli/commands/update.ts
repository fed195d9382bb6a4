import { readLimitChanges } from "#docker/limits.ts";
import { refuseFlags } from "#docker/refused.ts";
import { parseRestartPolicy } from "#docker/restart.ts";
import { findContainer } from "#engine/record/containers.ts";
import { updateContainer } from "#engine/life/update_container.ts";
import type { Invocation } from "../invocation.ts";
import { textOption } from "../options.ts";
import { usageError } from "../usage_error.ts";
import { forEachName, recordOf } from "./containers.ts";

/** `dugout update` */
export async function runUpdate(invocation: Invocation): Promise<number> {
  const { options } = invocation;
  if (options.size === 0) {
    throw usageError("you must provide one or more flags when using this command", 1, "such as --restart");
  }
  refuseFlags(options);
  const restart = textOption(options, "restart");
  const policy = restart === undefined ? undefined : parseRestartPolicy(restart);
  const limits = readLimitChanges(options);
  return await forEachName(invocation, async (engine, name) => {
    const record = recordOf(findContainer(engine, name));
    await updateContainer(engine, record, { restart: policy, limits });
    return name;
  });
}
