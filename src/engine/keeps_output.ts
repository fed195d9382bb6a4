import type { RunOptions, RunRequest } from "#docker/run_request.ts";

/**
 * Whether a container's monitor keeps its output, so that the caller can leave it: all but those in the foreground that have
 * the caller's streams and go at their end, or were to have no log.
 */
export function keepsOutput(
  { log }: Pick<RunRequest, "log">,
  { detach, tty, rm }: Pick<RunOptions, "detach" | "tty" | "rm">,
): boolean {
  return detach || tty || !(rm || log.driver === "none");
}
