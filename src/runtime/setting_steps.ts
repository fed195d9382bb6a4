/**
 * Settings of the kernel that a container has of its own: files below /proc.
 *
 * @module
 */
import { O_WRONLY, OPEN_HOW, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV } from "#linux/file.ts";
import { type Step, step } from "#tape/step.ts";
import type { ContainerSetup } from "./setup.ts";
import { openHow, targetSteps } from "./target_steps.ts";

/** A file below /proc, and what is written to it. */
export type Setting = [path: string, value: string];

/** What is to be written to files below /proc. */
export function kernelSettings({ spec }: ContainerSetup): Setting[] {
  const writes: Setting[] = [];
  for (const [key, value] of spec.linux?.sysctl ?? []) writes.push([`sys/${key.replaceAll(".", "/")}`, value]);
  const score = spec.process?.oomScoreAdj;
  if (score !== undefined) writes.push(["self/oom_score_adj", String(score)]);
  return writes;
}

/** Writes settings by a descriptor of the fresh /proc. */
export function kernelSettingSteps(writes: readonly Setting[]): Step[] {
  if (writes.length === 0) return [];
  const steps = targetSteps("/proc", "proc", { make: undefined, noLinks: true });
  for (const [path, value] of writes) {
    steps.push(
      step(
        "openat2",
        [
          { result: "proc" },
          path,
          openHow(O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS),
          OPEN_HOW.SIZE,
        ],
        "open setting",
        path,
        {
          id: path,
          hints: {
            ENOENT: "this kernel has no such setting in the container's namespaces",
            EACCES: "a user namespace may not change it",
          },
        },
      ),
      step("write", [{ result: path }, value, byteLength(value)], `write ${value} to`, path, {
        hints: {
          EINVAL: "the kernel does not take this value",
          EPERM: "a user namespace may not change it",
          EACCES: "without root it can only be raised",
        },
      }),
      step("close", [{ result: path }], "close setting", path),
    );
  }
  return steps;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
