/**
 * Which network a container has that asks for none, and whether it is one of ours. Apart from what joins networks, which most
 * runs need not load.
 *
 * @module
 */
import { addressOf, cString } from "#ffi/mod.ts";
import { batchJob } from "#linux/batch_job.ts";
import { tryCall } from "#linux/call.ts";
import { AT_FDCWD } from "#linux/file.ts";
import type { RunRequest } from "#docker/run_request.ts";

const [R_OK, W_OK] = [4, 2];

/**
 * `bridge` where taps can be opened, since that is its way outwards; else the host's, as in a job of a batch system: the
 * stack outlives its command, and nothing may that belongs to a job.
 */
export function defaultNetworkKind(): "bridge" | "host" {
  if (batchJob() !== undefined) return "host";
  const path = cString("/dev/net/tun");
  return tryCall("faccessat", AT_FDCWD, addressOf(path), R_OK | W_OK) === 0 ? "bridge" : "host";
}

/** Whether a container is in networks of ours. */
export function wantsNetworks({ network }: Pick<RunRequest, "network">): boolean {
  return network.kind === "bridge" || (network.kind === "default" && defaultNetworkKind() === "bridge");
}

/** Whether it has the host's network: because it asks for that, or because there is no other. */
export function sharesHostNetwork({ network }: Pick<RunRequest, "network">): boolean {
  return network.kind === "host" || (network.kind === "default" && defaultNetworkKind() === "host");
}
