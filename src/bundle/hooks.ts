/**
 * Hooks that run outside of the container, in the runtime's namespaces (runtime-spec, config.md, "POSIX-platform Hooks").
 *
 * @module
 */
import type { HookSpec } from "#oci/runtime_spec.ts";
import { type HookState, RUNTIME_SPEC_VERSION, type StoredState } from "#oci/runtime_state.ts";
import { escapeText, quote } from "#oci/text.ts";
import { bundleError } from "./error.ts";
import type { ContainerStatus } from "./container_state.ts";

const MOST_OUTPUT_BYTES = 1 << 20;

/** What hooks are told of a container. @param pid Its first process as the hook sees it; of a stopped one, none. */
export function hookState(stored: StoredState, status: ContainerStatus, pid: number | undefined): string {
  const state: HookState = {
    ociVersion: RUNTIME_SPEC_VERSION,
    id: stored.id,
    status,
    ...(pid === undefined ? {} : { pid }),
    bundle: stored.bundle,
    ...(stored.annotations.size === 0 ? {} : { annotations: Object.fromEntries(stored.annotations) }),
  };
  return JSON.stringify(state);
}

/**
 * Runs hooks one after the other, each with the state on stdin. A hook without variables of its own has the caller's.
 * @param kind For messages: `prestart`.
 * @throws {DugoutError} HOOK_FAILED, with what the hook said.
 */
export function runHooks(kind: string, hooks: readonly HookSpec[], state: string): void {
  if (hooks.length === 0) return;
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  hooks.forEach((hook, index) => {
    const [argv0 = hook.path, ...args] = hook.args ?? [];
    const env = hook.env === undefined ? process.env : environment(hook.env);
    const ended = spawnSync(hook.path, args, {
      argv0,
      env,
      input: state,
      ...(hook.timeout === undefined ? {} : { timeout: hook.timeout * 1000 }),
      killSignal: "SIGKILL",
      maxBuffer: MOST_OUTPUT_BYTES,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const { code } = (ended.error ?? {}) as NodeJS.ErrnoException;
    // one that ends without reading its input is no failure
    if (ended.status === 0 && (code === undefined || code === "EPIPE")) return;
    const why = code === "ETIMEDOUT"
      ? `hook timed out after ${hook.timeout} s`
      : ended.status !== null
      ? `exit status ${ended.status}`
      : code ?? `signal ${ended.signal}`;
    const said = [ended.stdout, ended.stderr].map((text) => escapeText(text?.toString() ?? "", 1000));
    throw bundleError(
      "HOOK_FAILED",
      `error running ${kind} hook #${index}: ${quote(hook.path)}: ${why}, stdout: ${said[0]}, stderr: ${said[1]}`,
    );
  });
}

function environment(variables: readonly string[]): Record<string, string> {
  const env: Record<string, string> = Object.create(null);
  for (const variable of variables) {
    const equals = variable.indexOf("=");
    if (equals > 0) env[variable.slice(0, equals)] = variable.slice(equals + 1);
  }
  return env;
}
