/**
 * `start`, `kill`, `delete`, `pause`, `resume`.
 *
 * @module
 */
import { parseSignal } from "#linux/signals.ts";
import { readContainer } from "#bundle/container_state.ts";
import { deleteContainer } from "#bundle/delete.ts";
import { bundleError } from "#bundle/error.ts";
import { freezeContainer } from "#bundle/freeze.ts";
import { signalAll, signalContainer } from "#bundle/signal.ts";
import { startContainer } from "#bundle/start.ts";
import type { RuntimeInvocation } from "./main.ts";

/** `start`: the program of a created container. */
export function runStart({ root, args }: RuntimeInvocation): number {
  startContainer(readContainer(root.path, args[0]!));
  return 0;
}

/** `kill`: a signal by name or number. */
export function runKill({ root, args, flags }: RuntimeInvocation): number {
  const container = readContainer(root.path, args[0]!);
  const text = args[1] ?? "SIGTERM";
  const signal = parseSignal(text);
  if (signal === undefined) throw bundleError("ID_INVALID", `unknown signal ${JSON.stringify(text)}`);
  if (flags.has("all")) signalAll(container, signal);
  else signalContainer(container, signal);
  return 0;
}

/** `delete`. */
export function runDelete({ root, args, flags, log }: RuntimeInvocation): number {
  deleteContainer(root.path, args[0]!, flags.has("force"), (message) => log.warn(message));
  return 0;
}

/** `pause`. */
export function runPause({ root, args }: RuntimeInvocation): number {
  freezeContainer(readContainer(root.path, args[0]!), true);
  return 0;
}

/** `resume`. */
export function runResume({ root, args }: RuntimeInvocation): number {
  freezeContainer(readContainer(root.path, args[0]!), false);
  return 0;
}
