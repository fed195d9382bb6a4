import { successors } from "./branches.ts";
import type { Arg, Tape } from "./step.ts";

/** A step that uses the result of another which may not have been played before it. */
export interface UnsetResult {
  /** The index of the step that uses it. */
  readonly index: number;
  readonly result: string;
}

/**
 * Finds results that are used on a way through the tape on which they were never made: such a result is 0, and a
 * forgotten descriptor is then standard input. The encoder sees the order of steps alone; this sees their jumps. For the
 * tests of those who make tapes.
 */
export function findUnsetResults(tape: Tape): UnsetResult[] {
  const { steps } = tape;
  const places = new Map<string, number>();
  steps.forEach(({ id }, index) => {
    if (id !== undefined) places.set(id, index);
  });
  // before each step: what has been made on every way to it; undefined where no way is known yet
  const made = new Array<ReadonlySet<string> | undefined>(steps.length).fill(undefined);
  if (steps.length > 0) made[0] = new Set();
  const open = steps.length > 0 ? [0] : [];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    const step = steps[index]!;
    const after = step.id === undefined ? made[index]! : new Set([...made[index]!, step.id]);
    for (const next of successors(step, index, places)) {
      if (next >= steps.length) continue;
      const before = made[next];
      const common = before === undefined ? after : new Set([...before].filter((id) => after.has(id)));
      if (before !== undefined && common.size === before.size) continue;
      made[next] = common;
      open.push(next);
    }
  }
  return steps.flatMap((step, index) => {
    const known = made[index];
    if (known === undefined) return [];
    return step.args.flatMap(resultsOf).filter((id) => !known.has(id)).map((result) => ({ index, result }));
  });
}

function resultsOf(arg: Arg): string[] {
  return typeof arg === "object" && "result" in arg ? [arg.result] : [];
}
