import type { CommandDeclaration } from "./declare/types.ts";
import type { GlobalOptions, Invocation } from "./invocation.ts";
import { type Options, scanOptions } from "./scan.ts";
import { usageError } from "./usage_error.ts";

/**
 * Reads the words behind a command's name.
 * @param calledAs The name it was called by, for messages: `image ls`.
 * @throws {DugoutError} USAGE, when flags or the number of arguments are wrong.
 */
export function readInvocation(
  command: CommandDeclaration,
  calledAs: string,
  argv: readonly string[],
  global: GlobalOptions,
): Invocation | "help" {
  const program = `dugout ${calledAs}`;
  const words = command.takesSingleDash ? argv.map((word) => word.replace(/^-(?=[a-z])/, "--")) : argv;
  const { options, operands, wantsHelp } = scanOptions(command.options, words, {
    stopsAtFirstOperand: command.stopsAtFirstArgument ?? false,
    program,
  });
  if (wantsHelp) return "help";
  refuseOptions(command.options, options);
  const { least, most } = countArguments(command, options);
  if (operands.length < least || (most !== undefined && operands.length > most)) {
    throw usageError(
      `'${program}' ${describeCount(least, most)}`,
      1,
      `usage: ${program} ${command.usage}; '${program} --help' tells more`,
    );
  }
  return { command, calledAs, options, words: argv, args: operands, global };
}

/** @throws {DugoutError} USAGE, for the first flag that cannot be had. */
function refuseOptions(declared: CommandDeclaration["options"], given: Options): void {
  for (const { flags, refused } of declared) {
    if (refused === undefined) continue;
    const name = flags.slice(flags.indexOf("--") + 2);
    const value = given.get(name);
    // a switch that is off and an empty text ask for nothing
    if (value === undefined || value === false || value === "") continue;
    throw usageError(`--${name} cannot be used: ${refused}`, 125, "leave it out");
  }
}

function countArguments(
  { arguments: { least, most, orFlags = [] }, latestIsFirst }: CommandDeclaration,
  options: Options,
): { least: number; most: number | undefined } {
  if (orFlags.some((name) => options.has(name))) return { least: 0, most };
  if (latestIsFirst !== true || options.get("latest") !== true) return { least, most };
  return { least: Math.max(0, least - 1), most: most === undefined ? undefined : most - 1 };
}

/** Docker's words for how many arguments a command takes. */
function describeCount(least: number, most: number | undefined): string {
  const noun = (n: number): string => `${n} argument${n === 1 ? "" : "s"}`;
  if (most === undefined) return `requires at least ${noun(least)}`;
  if (most === 0) return "accepts no arguments";
  if (most === least) return `requires ${noun(least)}`;
  if (least === 0) return `requires at most ${noun(most)}`;
  return `requires at least ${least} and at most ${noun(most)}`;
}
