import type { Step } from "./step.ts";

const FORKS: ReadonlySet<string> = new Set(["clone", "clone3", "fork", "vfork"]);
const ENDS: ReadonlySet<string> = new Set(["exit", "exit_group"]);

/**
 * How deep in forks each step is: 0 for the process that begins, 1 for its children, and so on. A step that parent and
 * child both come to counts as the parent's.
 */
export function branchDepths(steps: readonly Step[]): number[] {
  const places = new Map<string, number>();
  steps.forEach(({ id }, index) => {
    if (id !== undefined) places.set(id, index);
  });
  const depths = new Array<number>(steps.length).fill(0);
  steps.forEach((step, index) => {
    const target = step.jump === undefined ? undefined : places.get(step.jump.to);
    if (!FORKS.has(step.call) || target === undefined) return;
    const when = step.jump!.when;
    if (when !== "zero" && when !== "nonzero") return;
    const [child, parent] = when === "zero" ? [target, index + 1] : [index + 1, target];
    // a parent that comes to the same fork again is the parent once more
    const fork = { index, parent };
    const parents = reachable(steps, places, parent, fork);
    for (const place of reachable(steps, places, child, fork)) {
      if (!parents.has(place)) depths[place]!++;
    }
  });
  return depths;
}

/** The steps that may be played from `from` on, by the parent where it comes to that fork. */
function reachable(
  steps: readonly Step[],
  places: ReadonlyMap<string, number>,
  from: number,
  fork: { readonly index: number; readonly parent: number },
): Set<number> {
  const found = new Set<number>();
  const open = [from];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    const step = steps[index];
    if (step === undefined || found.has(index)) continue;
    found.add(index);
    if (index === fork.index) open.push(fork.parent);
    else open.push(...successors(step, index, places));
  }
  return found;
}

/** The steps that may come after a step. */
export function successors(step: Step, index: number, places: ReadonlyMap<string, number>): number[] {
  const { jump } = step;
  const target = jump === undefined ? undefined : places.get(jump.to);
  const next: number[] = [];
  if (target !== undefined) next.push(target);
  if (ENDS.has(step.call) || jump?.when === "always") return jump?.when === "always" ? next : [];
  // these come back only with an error
  const onlyErrors = step.call === "execve" || step.call === "execveat" || step.call === "fail";
  if (onlyErrors && (!step.ignore || jump?.when === "error")) return next;
  return [...next, index + 1];
}
