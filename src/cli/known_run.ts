import { runAgain } from "#engine/again/run_again.ts";
import type { Fd } from "#linux/call.ts";
import { writeAll } from "#linux/file.ts";
import type { GlobalOptions } from "./invocation.ts";

/**
 * `run` of a command line that was run before.
 * @param words What stands behind `run`.
 * @returns The exit code; undefined where it has to be read, and planned. Errors have been reported.
 */
export async function runKnown(words: readonly string[], global: GlobalOptions): Promise<number | undefined> {
  const warn = async (message: string) => (await import("./context.ts")).warn(global, message);
  try {
    return await runAgain({ options: global, words, warn, print });
  } catch (error) {
    return (await import("./report.ts")).reportError(error, { failureExitCode: 125, debug: global.debug });
  }
}

/** Where nobody reads it, or it cannot be written, the usual way says so. */
async function print(text: string): Promise<void> {
  try {
    writeAll(1 as Fd, new TextEncoder().encode(text));
  } catch {
    (await import("./output.ts")).printOut(text);
  }
}
