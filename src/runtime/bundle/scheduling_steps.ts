/**
 * How a process is scheduled, and which machine it takes itself to be on: `process.scheduler`, `process.ioPriority`,
 * `linux.personality` of the runtime-spec.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import type { LinuxSpec, ProcessSpec } from "#oci/runtime_spec.ts";
import { quote } from "#oci/text.ts";
import { type Step, step } from "#tape/step.ts";

/** SCHED_* (sched(7)). */
const POLICIES: ReadonlyMap<string, number> = new Map([
  ["SCHED_OTHER", 0],
  ["SCHED_FIFO", 1],
  ["SCHED_RR", 2],
  ["SCHED_BATCH", 3],
  ["SCHED_ISO", 4],
  ["SCHED_IDLE", 5],
  ["SCHED_DEADLINE", 6],
]);

/** SCHED_FLAG_* (sched_setattr(2)). */
const FLAGS: ReadonlyMap<string, number> = new Map([
  ["SCHED_FLAG_RESET_ON_FORK", 1],
  ["SCHED_FLAG_RECLAIM", 2],
  ["SCHED_FLAG_DL_OVERRUN", 4],
  ["SCHED_FLAG_KEEP_POLICY", 8],
  ["SCHED_FLAG_KEEP_PARAMS", 0x10],
  ["SCHED_FLAG_UTIL_CLAMP_MIN", 0x20],
  ["SCHED_FLAG_UTIL_CLAMP_MAX", 0x40],
]);

/** `struct sched_attr` (sched_setattr(2)): four u32 around a u64, then three u64. */
const SCHED_ATTR = {
  size: 0,
  policy: 4,
  flags: 8,
  nice: 16,
  priority: 20,
  runtime: 24,
  deadline: 32,
  period: 40,
  SIZE: 48,
};
const IO_CLASSES = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const;
const PERSONALITIES = { LINUX: 0, LINUX32: 8 } as const;

/** Sets them on the process that becomes the program. @throws {DugoutError} CONFIG_INVALID for an unknown name. */
export function schedulingSteps(process: ProcessSpec, personality: LinuxSpec["personality"]): Step[] {
  const steps: Step[] = [];
  if (process.scheduler !== undefined) {
    steps.push(
      step("sched_setattr", [0, schedAttr(process.scheduler), 0], "schedule by", process.scheduler.policy, {
        hints: { EPERM: "without root a process can only be made less urgent" },
      }),
    );
  }
  if (process.ioPriority !== undefined) {
    const { class: name, priority } = process.ioPriority;
    const IOPRIO_WHO_PROCESS = 1;
    steps.push(
      step("ioprio_set", [IOPRIO_WHO_PROCESS, 0, IO_CLASSES[name] << 13 | priority], "set I/O priority", name, {
        hints: { EPERM: "real-time I/O is root's alone" },
      }),
    );
  }
  if (personality !== undefined) {
    steps.push(step("personality", [PERSONALITIES[personality.domain]], "set personality", personality.domain));
  }
  return steps;
}

function schedAttr(scheduler: NonNullable<ProcessSpec["scheduler"]>): Uint8Array {
  const bytes = new Uint8Array(SCHED_ATTR.SIZE);
  const view = new DataView(bytes.buffer);
  const flags = (scheduler.flags ?? []).reduce((sum, name) => sum | named(FLAGS, name), 0);
  view.setUint32(SCHED_ATTR.size, SCHED_ATTR.SIZE, true);
  view.setUint32(SCHED_ATTR.policy, named(POLICIES, scheduler.policy), true);
  view.setBigUint64(SCHED_ATTR.flags, BigInt(flags), true);
  view.setInt32(SCHED_ATTR.nice, scheduler.nice ?? 0, true);
  view.setUint32(SCHED_ATTR.priority, scheduler.priority ?? 0, true);
  view.setBigUint64(SCHED_ATTR.runtime, BigInt(scheduler.runtime ?? 0), true);
  view.setBigUint64(SCHED_ATTR.deadline, BigInt(scheduler.deadline ?? 0), true);
  view.setBigUint64(SCHED_ATTR.period, BigInt(scheduler.period ?? 0), true);
  return bytes;
}

function named(table: ReadonlyMap<string, number>, name: string): number {
  const value = table.get(name);
  if (value === undefined) {
    throw new DugoutError("CONFIG_INVALID", `Cannot use config.json: process.scheduler: ${quote(name)} is not known`);
  }
  return value;
}
