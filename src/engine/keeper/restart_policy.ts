/**
 * When a restart policy starts a container again, by Docker's rules. Pure.
 *
 * @module
 */
import type { RestartPolicy } from "#docker/run_request.ts";
import { isJsonObject } from "#oci/json.ts";
import type { ContainerRecord } from "../record/container_record.ts";

/** The first wait, and the longest; each is twice the one before. */
const FIRST_MS = 100;
const MOST_MS = 60_000;
/** A container that ran so long begins anew with the first wait. */
const STEADY_MS = 10_000;

/** The policy of a container, looked up without reading all of its request: most have none. */
export function restartPolicyOf({ request }: Pick<ContainerRecord, "request">): RestartPolicy {
  const inner = request !== undefined && isJsonObject(request) ? request["request"] : undefined;
  const policy = inner !== undefined && isJsonObject(inner) ? inner["restart"] : undefined;
  if (policy === undefined || !isJsonObject(policy)) return { kind: "no" };
  const { kind, maxRetries } = policy;
  if (kind === "always" || kind === "unless-stopped") return { kind };
  if (kind === "on-failure") return { kind, maxRetries: typeof maxRetries === "number" ? maxRetries : 0 };
  return { kind: "no" };
}

/**
 * Whether a policy starts a container that has ended by itself.
 * @param exitCode Undefined where nobody knows it: that is a failure.
 * @param restartCount How often the policy has done so since somebody started it.
 */
export function wantsRestart(policy: RestartPolicy, exitCode: number | undefined, restartCount: number): boolean {
  switch (policy.kind) {
    case "no":
      return false;
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure":
      return exitCode !== 0 && (policy.maxRetries === 0 || restartCount < policy.maxRetries);
    default:
      throw new Error(`Unknown restart policy ${policy satisfies never}`);
  }
}

/**
 * How long to wait before the next start.
 * @param beforeMs The last wait; undefined: there was none.
 * @param ranMs How long it ran; undefined: nobody knows.
 */
export function nextWaitMs(beforeMs: number | undefined, ranMs: number | undefined): number {
  if (beforeMs === undefined || (ranMs !== undefined && ranMs >= STEADY_MS)) return FIRST_MS;
  return Math.min(beforeMs * 2, MOST_MS);
}
