import { COMMANDS } from "./declare/commands.ts";
import type { GlobalOptions, Invocation } from "./invocation.ts";
import { readInvocation } from "./read_invocation.ts";

/**
 * Reads a command line whose first words are a command's name, without commander.
 * @param words What stands behind the global options.
 * @returns undefined of any other, and where help is wanted.
 * @throws {DugoutError} USAGE, as `readInvocation` does.
 */
export function findInvocation(words: readonly string[], global: GlobalOptions): Invocation | undefined {
  // the longer name first: 'port add' is a command beside 'port'
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(" ");
    const command = words.length < length ? undefined : COMMANDS.find(({ names }) => names.includes(name));
    if (command === undefined) continue;
    const invocation = readInvocation(command, name, words.slice(length), global);
    return invocation === "help" ? undefined : invocation;
  }
  return undefined;
}
