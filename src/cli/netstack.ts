import { endAfterStack } from "#engine/network/end_after_stack.ts";
import { runNetstack } from "#netstack/process/main.ts";

/**
 * The binary as the network stack: its configuration on stdin, taps as descriptors. When nobody has needed it for a while, what
 * networks stand on is ended with it.
 * @param argv The runtime directory, and the holder's process and start time.
 * @returns The exit code, at its end.
 */
export async function runStack([run, holder, startTime]: readonly string[]): Promise<number> {
  // a directory that somebody wants to remove, or unmount, is not held
  process.chdir("/");
  const exitCode = runNetstack();
  if (run !== undefined && startTime !== undefined) await endAfterStack(run, { pid: Number(holder), startTime });
  return exitCode;
}
