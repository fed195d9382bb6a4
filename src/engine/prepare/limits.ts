import type { LimitsRequest, RunRequest } from "#docker/run_request.ts";
import type { GroupSetup } from "#runtime/group_steps.ts";
import type { Engine } from "../engine.ts";
import type { PlannedGroup, PlannedLimits } from "./plan_limits.ts";

/** How a container is limited, and how its group is made: for those that need any of it. */
export interface ContainerLimits extends PlannedLimits {
  /** What puts the monitor beside the group: for `StartFds.joinGroup`. */
  readonly joinGroup: (container: {
    readonly id: string;
    readonly name: string;
  }) => ((monitor: number) => string) | undefined;
  /** When it has ended: its group is gone, and where it was the last one there, our own group is as it was. */
  readonly leaveGroup: (id: string) => void;
}

/** Whether anything is limited. */
export function isLimited({ mode: _, ...limits }: LimitsRequest): boolean {
  return Object.values(limits).some((value) => typeof value === "object" ? value.length > 0 : value !== undefined);
}

/**
 * Plans how a container is limited. One in the foreground without limits stays in the caller's control group, so that a batch
 * system accounts for it, and nothing is loaded for it.
 * @param outlivesCaller Whether it lives on when its caller is gone: then it gets a group of its own wherever there can be one.
 * @throws {DugoutError} LIMIT_IMPOSSIBLE.
 */
export async function openLimits(
  engine: Engine,
  request: RunRequest,
  outlivesCaller: boolean,
): Promise<ContainerLimits | undefined> {
  if (!outlivesCaller && !isLimited(request.limits) && !request.security.writableCgroups) return undefined;
  const [{ planLimits, readLimitFacts }, { makeGroup }, { sweepOwnGroups }] = await Promise.all([
    import("./plan_limits.ts"),
    import("#cgroup/group.ts"),
    import("#cgroup/sweep_groups.ts"),
  ]);
  const planned = planLimits(request, outlivesCaller, readLimitFacts(engine.kernel));
  const { group } = planned;
  if (group === undefined) return { ...planned, joinGroup: () => undefined, leaveGroup() {} };
  const pass = group.bestEffort
    ? (message: string) => engine.warn(`${message}: the container runs without this limit`)
    : undefined;
  return {
    ...planned,
    leaveGroup: (id) => sweepOwnGroups((other) => other === id ? true : undefined),
    joinGroup: (container) => (monitor) => makeGroup({ ...group, ...container, pass }, monitor),
  };
}

/** How the tape is told of the group. */
export function groupSetup(id: string, group: PlannedGroup | undefined): GroupSetup | undefined {
  return group === undefined ? undefined : { removes: group.place.kind === "own" ? `dugout-${id}` : undefined };
}
