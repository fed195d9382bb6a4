import type { CommandDeclaration } from "./declare/types.ts";
import type { Options } from "./scan.ts";

/** What stood before the command. */
export interface GlobalOptions {
  root?: string;
  run?: string;
  storageDriver?: string;
  config?: string;
  logLevel: string;
  debug: boolean;
}

/** One command with all that was said, read but not yet understood: what a command's function gets. */
export interface Invocation {
  command: CommandDeclaration;
  /** The name it was called by: `image ls`. */
  calledAs: string;
  options: Options;
  /** As they were typed behind the command's name. */
  words: readonly string[];
  args: readonly string[];
  global: GlobalOptions;
}

/** Runs a command to its end. @returns The exit code. */
export type CommandFunction = (invocation: Invocation) => Promise<number> | number;
