/**
 * Descriptors of the caller that a container keeps at their numbers. Until all else is closed they are parked above every
 * number that anything else has.
 *
 * @module
 */
import { F_SETFD, FD_CLOEXEC } from "#linux/file.ts";
import { type Step, step } from "#tape/step.ts";
import { ERROR_FD } from "./map_ids.ts";

/** Above every number that the tape of a container uses. */
export const FIRST_FREE_FD = 400;

/** Which descriptors are kept, and where things are meanwhile. */
export interface PreservedFds {
  /** The numbers in the container, besides 0, 1 and 2; in order. */
  readonly preserved: readonly number[];
  /** The error pipe. */
  readonly error: number;
  /** Where the preserved ones are parked: this number on, one each. */
  readonly parked: number;
}

/** Nothing but the streams. */
export const NO_FDS: PreservedFds = { preserved: [], error: ERROR_FD, parked: ERROR_FD + 1 };

/** Lays out descriptors. */
export function planPreserved(numbers: readonly number[]): PreservedFds {
  if (numbers.length === 0) return NO_FDS;
  const error = Math.max(FIRST_FREE_FD, ...numbers.map((fd) => fd + 1));
  return { preserved: [...numbers].sort((a, b) => a - b), error, parked: error + 1 };
}

/** Gives those that are kept their numbers, and closes all others, but for ours, which close with exec. */
export function closeOthersSteps({ preserved, error, parked }: PreservedFds, ours: readonly number[] = []): Step[] {
  const kept = [...preserved, error, ...ours].sort((a, b) => a - b);
  const steps = preserved.map((fd, index) => step("dup3", [parked + index, fd, 0], "give", `descriptor ${fd}`));
  let from = 3;
  for (const fd of kept) {
    const those = fd === from + 1 ? `descriptor ${from}` : `descriptors ${from} to ${fd - 1}`;
    if (fd > from) steps.push(step("close_range", [from, fd - 1, 0], "close", those));
    from = fd + 1;
  }
  steps.push(step("close_range", [from, 0xffffffff, 0], "close", `descriptors from ${from} on`));
  steps.push(step("fcntl", [error, F_SETFD, FD_CLOEXEC], "close on exec", "the error pipe"));
  for (const fd of ours) {
    // it may not be there: not every container has one
    steps.push(step("fcntl", [fd, F_SETFD, FD_CLOEXEC], "close on exec", `descriptor ${fd}`, { ignore: true }));
  }
  return steps;
}

/** For who stays outside: what is parked is the container's alone. */
export function closeParkedSteps({ preserved, parked }: PreservedFds): Step[] {
  if (preserved.length === 0) return [];
  return [
    step("close_range", [parked, parked + preserved.length - 1, 0], "close", "the descriptors that are passed on"),
  ];
}
