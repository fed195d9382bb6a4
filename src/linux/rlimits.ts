/**
 * Resource limits by name and number (getrlimit(2)). Both architectures number them alike.
 *
 * @module
 */
import { expectResult, tryCall } from "./call.ts";
import { scratch } from "./scratch.ts";

/** In the order of their numbers, 0 to 15 (asm-generic/resource.h). */
const NAMES = [
  "cpu",
  "fsize",
  "data",
  "stack",
  "core",
  "rss",
  "nproc",
  "nofile",
  "memlock",
  "as",
  "locks",
  "sigpending",
  "msgqueue",
  "nice",
  "rtprio",
  "rttime",
] as const;

/** A resource as `--ulimit` names it. */
export type RlimitName = typeof NAMES[number];

/** No limit: RLIM_INFINITY, all 64 bits set. */
export const RLIM_INFINITY: bigint = 0xffff_ffff_ffff_ffffn;

/** Every name there is, in the order of the numbers. */
export const RLIMIT_NAMES: readonly RlimitName[] = NAMES;

/** The name as the engine writes it: `nofile`, `NOFILE` and `RLIMIT_NOFILE` are one; `undefined` when there is none. */
export function parseRlimitName(text: string): RlimitName | undefined {
  const lower = text.toLowerCase();
  const bare = lower.startsWith("rlimit_") ? lower.slice(7) : lower;
  return NAMES.find((name) => name === bare);
}

/** The number that prlimit64(2) takes: nofile is 7. */
export function rlimitNumber(name: RlimitName): number {
  return NAMES.indexOf(name);
}

/** The soft limit of this process (prlimit64(2)), by number. */
export function readSoftLimit(number: number): bigint {
  const { struct } = scratch();
  expectResult(tryCall("prlimit64", 0, number, 0, struct.address), "prlimit64", `limit ${number}`);
  return struct.view.getBigUint64(0, true);
}

/** The name that the OCI runtime-spec takes: nofile is `RLIMIT_NOFILE`. */
export function rlimitSpecName(name: RlimitName): string {
  return `RLIMIT_${name.toUpperCase()}`;
}
