/**
 * What a filter shall answer, as data: rules about calls and their arguments. Profiles, Docker's default and our own
 * answers all become policies; seccomp_compile.ts makes a program of them.
 *
 * @module
 */
import { RET, RET_ACTION } from "./seccomp_bpf.ts";

/** How an argument is compared, unsigned. `masked` compares what the mask leaves. */
export type Comparison = "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "masked";

/** A condition on one argument of a call. */
export interface Condition {
  /** Which argument, 0 to 5. */
  readonly index: number;
  /**
   * 32 looks at the low half alone, as the kernel does with an `int` or an id; 64 looks at the whole register, of which
   * a caller may fill the upper half with anything.
   */
  readonly width: 32 | 64;
  readonly compare: Comparison;
  readonly value: bigint;
  /** With `masked`: the bits that count. */
  readonly mask?: bigint;
}

/** An answer to a call, when all conditions hold. */
export interface Rule {
  /** The call's name, as in syscall_numbers.ts. */
  readonly call: string;
  /** All must hold; none means always. */
  readonly conditions: readonly Condition[];
  /** A SECCOMP_RET_* value with its data. */
  readonly action: number;
}

/**
 * Rules, and what holds where none matches. Of several rules that match, the most restrictive one counts, in the
 * kernel's own order; among equals, the first.
 */
export interface Policy {
  readonly rules: readonly Rule[];
  /** For calls of our table that no rule matches. */
  readonly defaultAction: number;
  /** For numbers that our table does not have, or that are newer than any call which the rules speak of. */
  readonly unknownAction: number;
}

/** The place of an answer in the kernel's order (seccomp(2)): the lower, the more restrictive. */
export function strictness(action: number): number {
  return (action & RET_ACTION) | 0;
}

/** Whether an answer lets the call happen. */
export function permits(action: number): boolean {
  return strictness(action) === RET.ALLOW || strictness(action) === RET.LOG;
}

/** Whether a condition holds for the arguments. The obvious version, which the compiled one is tested against. */
export function conditionHolds(condition: Condition, args: readonly bigint[]): boolean {
  const bits = condition.width === 32 ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
  const arg = (args[condition.index] ?? 0n) & bits;
  const value = condition.value & bits;
  switch (condition.compare) {
    case "eq":
      return arg === value;
    case "ne":
      return arg !== value;
    case "lt":
      return arg < value;
    case "le":
      return arg <= value;
    case "gt":
      return arg > value;
    case "ge":
      return arg >= value;
    case "masked":
      return (arg & (condition.mask ?? bits)) === value;
    default:
      throw new Error(`Unknown comparison ${condition.compare satisfies never}`);
  }
}

/** What a policy answers to a call of the table. The obvious version, which the compiled one is tested against. */
export function evaluatePolicy(policy: Policy, call: string, args: readonly bigint[]): number {
  let answer: number | undefined;
  for (const rule of policy.rules) {
    if (rule.call !== call || !rule.conditions.every((condition) => conditionHolds(condition, args))) continue;
    if (answer === undefined || strictness(rule.action) < strictness(answer)) answer = rule.action;
  }
  return answer ?? policy.defaultAction;
}
