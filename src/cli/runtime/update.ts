/**
 * `update`: other limits for a container that runs.
 *
 * @module
 */
import { readContainer, statusOf } from "#bundle/container_state.ts";
import { bundleError } from "#bundle/error.ts";
import type { RuntimeInvocation } from "./main.ts";

/** Every limit needs a control group of the container's own. */
export function runUpdate({ root, args }: RuntimeInvocation): number {
  const container = readContainer(root.path, args[0]!);
  if (statusOf(container) === "stopped") throw bundleError("CONTAINER_STATUS", "container not running");
  throw bundleError(
    "LIMIT_IMPOSSIBLE",
    "cannot change the limits of the container: it has no control group of its own",
    "`dugout check` says how control groups are delegated",
  );
}
