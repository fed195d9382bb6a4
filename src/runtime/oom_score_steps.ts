import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "#linux/file.ts";
import { type Step, step } from "#tape/step.ts";

/**
 * Sets how soon the process is killed when memory runs out (proc_pid_oom_score_adj(5)): while /proc is the machine's, and
 * its files are still the caller's. Higher is always allowed, lower than the caller's own is not.
 */
export function oomScoreSteps(score: number | undefined): Step[] {
  if (score === undefined) return [];
  const path = "/proc/self/oom_score_adj";
  const text = String(score);
  return [
    step("openat", [AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0], "open setting", path, { id: "score" }),
    step("write", [{ result: "score" }, text, text.length], `write ${text} to`, path, {
      hints: { EACCES: "without root it can only be raised" },
    }),
    step("close", [{ result: "score" }], "close setting", path),
  ];
}
