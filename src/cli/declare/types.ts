/**
 * The words of the command line as plain data. Nothing here knows the library that reads them: `../scan.ts` reads flags,
 * `../commander.ts` dispatches and prints help, and another library could take the place of either.
 */

/** What a value has to look like, checked before the command runs. Grammars of Docker's own (`-p`, `-v` …) are src/docker's. */
export type ValueCheck = "int" | "uint" | "decimal";

/** One flag. Without `value` it is a switch: `--rm`, `--rm=false`. */
export interface OptionDeclaration {
  /** As help shows it: `-m, --memory`, or `--name`. */
  flags: string;
  /** The kind of value, as help shows it: `string`, `list`, `bytes` …; absent for a switch. */
  value?: string;
  /** May be given several times; all values are kept, in order. Without it the last one wins, as with Docker. */
  repeatable?: boolean;
  check?: ValueCheck;
  summary: string;
  /** Heading in the help; `Options:` when absent. */
  group?: string;
  /** What holds when the flag is absent. Shown in the help; the scanner does not fill it in, so that "not given" can be told. */
  default?: string;
  /** Not in the option list of the help: accepted without effect, or refused (src/docker/refused.ts). */
  hidden?: boolean;
  /** Why it cannot be had: whoever gives it gets this in one line, with exit code 125. */
  refused?: string;
}

export interface CommandDeclaration {
  /** The ways to call it, the usual one first: `["pull", "image pull"]`. */
  names: readonly string[];
  /** What comes behind the name in the usage line: `[OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  usage: string;
  summary: string;
  /** Heading in `dugout --help`; commands without one are listed by their group only (`dugout image --help`). */
  group?: string;
  /** How many arguments it takes; no `most` means any number. */
  arguments: {
    least: number;
    most?: number;
    /** Flags that stand for arguments: with one of them none is needed, such as with `--all`. */
    orFlags?: readonly string[];
  };
  options: readonly OptionDeclaration[];
  /** Lines for the help, without the leading `dugout`: `["run --rm debian cat /etc/os-release", "one command, then gone"]`. */
  examples: readonly (readonly [command: string, meaning: string])[];
  /** The first argument ends the flags: what follows belongs to the command in the container. */
  stopsAtFirstArgument?: boolean;
  /** `--latest` stands for the first argument: the last container that was made. */
  latestIsFirst?: boolean;
  /** `-dryrun` is `--dryrun`: for commands that others call as they call a program of Go. There are no letters then. */
  takesSingleDash?: boolean;
  /** Exit code of a failure that names none: 125 where 1 could be the container's own, else 1, as docker has it. */
  failureExitCode: 1 | 125;
  /** A paragraph below the options. */
  note?: string;
}

/** A word that only groups others: `image`, `container`, `system`. */
export interface GroupDeclaration {
  name: string;
  summary: string;
}
