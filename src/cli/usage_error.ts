import { DugoutError } from "#oci/error.ts";

/**
 * The command line itself is wrong.
 * @param exitCode 125 for flags, 1 for commands and counts of arguments: docker's own.
 */
export function usageError(message: string, exitCode: number, hint: string): DugoutError {
  return new DugoutError("USAGE", message, { exitCode, hint });
}

/** Asked for something that docker has and this version does not have yet. */
export function notYetError(what: string): DugoutError {
  return new DugoutError("NOT_YET", `${what} is not in this version yet`, {
    exitCode: 125,
    hint: "'dugout --help' lists what is",
  });
}
