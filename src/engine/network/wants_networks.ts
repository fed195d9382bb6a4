import type { RunRequest } from "#docker/run_request.ts";

/** Whether a container is in networks of ours. Apart from what joins them, which most runs need not load. */
export function wantsNetworks({ network }: Pick<RunRequest, "network">): boolean {
  return network.kind === "bridge";
}
