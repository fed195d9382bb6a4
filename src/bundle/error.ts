import { DugoutError } from "#oci/error.ts";

/** Why a command on a container of a bundle failed: for what calls the runtime, the code; for people, runc's words. */
export type BundleErrorCode =
  | "BUNDLE_INVALID"
  | "CONTAINER_EXISTS"
  | "CONTAINER_NOT_FOUND"
  | "CONTAINER_STATUS"
  | "HOOK_FAILED"
  | "ID_INVALID"
  | "LIMIT_IMPOSSIBLE"
  | "PROGRAM_FAILED"
  | "STATE_INVALID"
  | "STATE_ROOT_UNSAFE"
  | "UNTRUSTED_BUNDLE";

/** The runtime's failures have exit code 1: other codes are the container's own. */
export function bundleError(code: BundleErrorCode, message: string, hint?: string, cause?: unknown): DugoutError {
  return new DugoutError(code, message, { exitCode: 1, hint, cause });
}
