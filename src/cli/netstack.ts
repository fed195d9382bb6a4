import { openEngine } from "#engine/engine.ts";
import { networkContext } from "#engine/network/networking.ts";
import { endIfIdle } from "#network/bring_up.ts";
import { withNetworkLock } from "#network/holder.ts";
import { runNetstack } from "#netstack/process/main.ts";

/**
 * The binary as the network stack: its configuration on stdin, taps as descriptors. When nobody has needed it for a while, what
 * networks stand on is ended with it.
 * @param argv The data and the runtime directory.
 * @returns The exit code, at its end.
 */
export async function runStack([root, run]: readonly string[]): Promise<number> {
  // a directory that somebody wants to remove, or unmount, is not held
  process.chdir("/");
  const exitCode = runNetstack();
  if (root === undefined || run === undefined) return exitCode;
  const engine = openEngine({ root, run });
  await withNetworkLock(engine.runRoot, () => endIfIdle(networkContext(engine)));
  return exitCode;
}
