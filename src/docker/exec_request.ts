/**
 * What `exec` is asked for, as plain data, and its flags.
 *
 * @module
 */
import { parseDetachKeys } from "./detach_keys.ts";
import { type LookUp, mergeVariables, parseEnvFile, parseVariable, type Variable } from "./environment.ts";
import { parseUserText, parseWorkingDir } from "./names.ts";
import { DEFAULT_DETACH_KEYS } from "./run_request.ts";
import { checkNoNul } from "./text_rules.ts";

/** A process that is to enter a container. */
export interface ExecRequest {
  readonly command: readonly string[];
  /** Besides the container's own. */
  readonly env: readonly Variable[];
  /** `USER[:GROUP]`; undefined: the container's. */
  readonly user: string | undefined;
  /** Absolute in the container; undefined: the container's. */
  readonly workingDir: string | undefined;
  /** Whether it gets all capabilities of the user namespace. */
  readonly privileged: boolean;
}

/** How the caller stays with it. */
export interface ExecOptions {
  readonly interactive: boolean;
  readonly tty: boolean;
  readonly detach: boolean;
  readonly detachKeys: readonly number[];
}

/** Flags as they were given: see the scanner of the command line. */
export type ExecFlags = ReadonlyMap<string, boolean | string | readonly string[]>;

/** What flags refer to. */
export interface ExecContext {
  readonly lookUp: LookUp;
  readonly readFile: (path: string) => Uint8Array;
}

/**
 * Reads flags of `exec`, and the command.
 * @throws {DugoutError} FLAG_INVALID, and what the files and variables are refused for.
 */
export function readExec(
  flags: ExecFlags,
  command: readonly string[],
  { lookUp, readFile }: ExecContext,
): { request: ExecRequest; options: ExecOptions } {
  const isOn = (name: string): boolean => flags.get(name) === true;
  const text = (name: string): string | undefined => {
    const value = flags.get(name);
    return typeof value === "string" ? value : undefined;
  };
  const list = (name: string): readonly string[] => {
    const value = flags.get(name);
    return typeof value === "object" ? value : [];
  };
  for (const word of command) checkNoNul("COMMAND", word);
  const [user, workingDir, keys] = [text("user"), text("workdir"), text("detach-keys")];
  return {
    request: {
      command,
      // as with run, what is said in words counts more than a file
      env: mergeVariables(
        ...list("env-file").map((path) => parseEnvFile(readFile(path), path, lookUp)),
        list("env").flatMap((entry) => {
          const variable = parseVariable(entry, lookUp);
          return variable === undefined ? [] : [variable];
        }),
      ),
      user: user === undefined || user === "" ? undefined : parseUserText(user, "--user"),
      workingDir: workingDir === undefined || workingDir === "" ? undefined : parseWorkingDir(workingDir),
      privileged: isOn("privileged"),
    },
    options: {
      interactive: isOn("interactive"),
      tty: isOn("tty"),
      detach: isOn("detach"),
      detachKeys: keys === undefined ? DEFAULT_DETACH_KEYS : parseDetachKeys(keys),
    },
  };
}
