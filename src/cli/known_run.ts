import { runAgain } from "#engine/again/run_again.ts";
import type { GlobalOptions } from "./invocation.ts";

/**
 * `run` of a command line that was run before.
 * @param words What stands behind `run`.
 * @returns The exit code; undefined where it has to be read, and planned. Errors have been reported.
 */
export async function runKnown(words: readonly string[], global: GlobalOptions): Promise<number | undefined> {
  const warn = async (message: string) => (await import("./context.ts")).warn(global, message);
  try {
    return await runAgain({ options: global, words, warn });
  } catch (error) {
    return (await import("./report.ts")).reportError(error, { failureExitCode: 125, debug: global.debug });
  }
}
