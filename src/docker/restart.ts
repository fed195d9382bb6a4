import { flagError } from "./flag_error.ts";
import type { RestartPolicy } from "./run_request.ts";
import { parseInteger, splitOnce } from "./text_rules.ts";

/** Reads `--restart`: `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:N`. */
export function parseRestartPolicy(text: string): RestartPolicy {
  const [kind, count] = splitOnce(text, ":");
  switch (kind) {
    case "":
    case "no":
    case "always":
    case "unless-stopped":
      if (count !== undefined) throw flagError("--restart", text, "only on-failure takes a number");
      return { kind: kind === "" ? "no" : kind };
    case "on-failure": {
      const maxRetries = count === undefined ? 0 : parseInteger(count, 0, 2 ** 31 - 1);
      if (maxRetries === undefined) throw flagError("--restart", text, "behind on-failure: stands a number from 0");
      return { kind, maxRetries };
    }
    default:
      throw flagError("--restart", text, "it is no, on-failure, on-failure:N, always or unless-stopped");
  }
}
