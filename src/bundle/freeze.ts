/**
 * Suspending a container by the freezer of its control group (cgroup-v2.rst, "cgroup.freeze").
 *
 * @module
 */
import { freezeGroup } from "#cgroup/freeze.ts";
import { type BundleContainer, statusOf } from "./container_state.ts";
import { bundleError } from "./error.ts";

/** Suspends a container, or lets it go on. @throws {DugoutError} CONTAINER_STATUS; LIMIT_IMPOSSIBLE without a group of its own. */
export function freezeContainer(container: BundleContainer, frozen: boolean): void {
  const status = statusOf(container);
  const { group } = container.stored;
  if (frozen && status !== "running" && status !== "created") {
    throw bundleError("CONTAINER_STATUS", `container not running or created: ${status}`);
  }
  if (group === undefined) {
    throw bundleError(
      "LIMIT_IMPOSSIBLE",
      `cannot ${frozen ? "pause" : "resume"} the container: it has no control group of its own`,
      "`dugout check` says how control groups are delegated",
    );
  }
  if (!frozen && status !== "paused") throw bundleError("CONTAINER_STATUS", "container not paused");
  freezeGroup(group, frozen);
}
