import type { LogRequest } from "#docker/run_request.ts";
import { parseSize } from "#docker/size.ts";
import type { LogLimits } from "#runtime/log_frame.ts";

const MIB = 1 << 20;

/**
 * How large a container's log may grow. `local` has Docker's defaults. What nobody is to read later (`none`) passes through a
 * log all the same, a small one: whoever attaches follows it.
 */
export function logLimits({ driver, options }: LogRequest): LogLimits {
  if (driver === "none") return { maxBytes: MIB, maxFiles: 2 };
  const isLocal = driver === "local";
  const size = options.get("max-size");
  const sizeBytes = size === undefined ? (isLocal ? 20 * MIB : undefined) : size === "-1" ? undefined : parseSize(size);
  const files = options.get("max-file");
  return {
    maxBytes: sizeBytes,
    maxFiles: files === undefined ? (isLocal && sizeBytes !== undefined ? 5 : 1) : Number(files),
  };
}
