import { findGroup } from "#cgroup/find_group.ts";
import { updateGroup } from "#cgroup/group.ts";
import { planSettings } from "#cgroup/resources.ts";
import { changeLimits, checkLimits } from "#docker/limits.ts";
import type { LimitsRequest, RunRequest } from "#docker/run_request.ts";
import { DugoutError } from "#oci/error.ts";
import { checkAgainstMachine, planLimits, readLimitFacts, resourcesOf } from "../prepare/plan_limits.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { whereabouts } from "../record/whereabouts.ts";

/**
 * Changes the limits of a container: of one that runs at once, of others from the next start on.
 * @returns All its limits then.
 * @throws {DugoutError} LIMIT_IMPOSSIBLE, LIMIT_REFUSED, FLAG_CONFLICT: nothing is changed then.
 */
export function updateLimits(
  engine: Engine,
  record: ContainerRecord,
  request: RunRequest,
  changes: Partial<LimitsRequest>,
): LimitsRequest {
  const limits = changeLimits(request.limits, changes);
  checkLimits(limits);
  const facts = readLimitFacts(engine.kernel);
  checkAgainstMachine(limits, facts);
  const status = readStatus(engine, record, whereabouts());
  if (status.kind !== "running") {
    // what could not be had at the next start is told now
    planLimits({ ...request, limits }, false, facts);
    return limits;
  }
  const group = findGroup(record.id, status.state.pid);
  if (group === undefined) {
    throw new DugoutError(
      "LIMIT_IMPOSSIBLE",
      `Cannot update the limits of the container "${record.name}": it runs in its caller's control group and has none of its own`,
      {
        exitCode: 1,
        hint: "detached containers, and those that are started with a limit, have one where groups are delegated",
      },
    );
  }
  const settingsOf = (limits: LimitsRequest) => planSettings(resourcesOf(limits, facts.deviceOf));
  const before = new Set(settingsOf(request.limits).map(({ file, value }) => `${file} ${value}`));
  updateGroup(group, settingsOf(limits).filter(({ file, value }) => !before.has(`${file} ${value}`)));
  return limits;
}
