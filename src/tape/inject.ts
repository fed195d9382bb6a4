import { operate, type Step, type Tape } from "./step.ts";

const EINTR = 4;

/**
 * The tape with one step that is not made but fails: for tests of what happens then. All else about the step stays, so
 * it is told by its own label, object and hint, and goes on where it ignores errors or jumps on them.
 *
 * @param index Which step. One that only computes or jumps cannot fail; made to, it always ends the tape.
 * @param errno What the step fails with, 1 to 4095.
 * @throws {RangeError} When there is no such step, or errno is none, or the step would repeat itself for ever.
 */
export function injectFailure(tape: Tape, index: number, errno: number): Tape {
  const failing = tape.steps[index];
  if (failing === undefined) throw new RangeError(`Tape of ${tape.steps.length} steps has no step ${index}`);
  if (!Number.isInteger(errno) || errno < 1 || errno > 4095) {
    throw new RangeError(`Error number must be from 1 to 4095, got ${errno}`);
  }
  if (failing.retry && errno === EINTR) {
    throw new RangeError(`Step ${index} repeats on EINTR: it would do so for ever`);
  }
  return { ...tape, steps: tape.steps.with(index, failInstead(failing, errno)) };
}

/** Whether a step makes a system call, which may fail. */
export function canFail(step: Step): boolean {
  return !OPERATIONS_THAT_CANNOT_FAIL.has(step.call);
}

const OPERATIONS_THAT_CANNOT_FAIL: ReadonlySet<string> = new Set(["store", "load", "alu", "nop", "same", "decimal"]);

function failInstead(step: Step, errno: number): Step {
  const { call: _call, args: _args, label, jump, ...rest } = step;
  const keepsJump = jump !== undefined && canFail(step);
  return operate("fail", [errno], label, { ...rest, ...(keepsJump ? { jump } : {}) });
}
