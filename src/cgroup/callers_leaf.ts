/**
 * The leaf into which the processes of our own group go: a group with limits below it can have none (cgroup-v2.rst, "No Internal
 * Process Constraint").
 */
export const CALLERS_LEAF = "dugout-callers";

/** What was moved to the leaf belongs to the group above. */
export function withoutLeaf(group: string): string {
  return group.endsWith(`/${CALLERS_LEAF}`) ? group.slice(0, -CALLERS_LEAF.length - 1) || "/" : group;
}
