import type { RunOptions, RunRequest } from "#docker/run_request.ts";

/**
 * Whether a container's monitor keeps its output, so that the caller can leave it: all but those in the foreground that have
 * the caller's streams and go at their end, or were to have no log. One that is started again has no caller then.
 */
export function keepsOutput(
  { log, restart }: Pick<RunRequest, "log" | "restart">,
  { detach, tty, rm }: Pick<RunOptions, "detach" | "tty" | "rm">,
): boolean {
  return detach || tty || restart.kind !== "no" || !(rm || log.driver === "none");
}
