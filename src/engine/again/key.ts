/**
 * What a plan is remembered under, and what has to be as it was for it to hold. Together they are all that planning reads:
 * what the caller says is in the key, what the machine and the store say is in the facts, which the tape looks at.
 *
 * @module
 */
import { backend, hashHex } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { S_IFMT } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { isTerminal } from "#linux/terminal.ts";

/** What the caller says: global options, and the command line behind `run`, when those alone say what is asked for. */
export interface KeyInput {
  readonly root?: string | undefined;
  readonly run?: string | undefined;
  readonly storageDriver?: string | undefined;
  readonly words: readonly string[];
}

/** Changes with the form of what is remembered. */
const FORM = 4;

/** Variables that say where things are, and whether a batch system will end the job. */
const VARIABLES = ["HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "SLURM_JOB_ID"] as const;

/** The key: 64 hexadecimal digits. @param program The file of this program: {@linkcode ownProgram}. */
export function planKey({ root, run, storageDriver, words }: KeyInput, program: string): string {
  const { env } = process;
  return hashHex(
    "sha256",
    JSON.stringify([
      FORM,
      program,
      words,
      [root, run, storageDriver].map((option) => option ?? null),
      // they may be relative
      root === undefined && run === undefined ? null : process.cwd(),
      VARIABLES.map((name) => name === "SLURM_JOB_ID" ? env[name] !== undefined : env[name] ?? null),
      [0, 1, 2].map((fd) => describeStream(fd as Fd)),
    ]),
  );
}

/**
 * Where plans may be: below each place that the runtime directory may be in, in the order of `paths.ts`. Which of them it was when
 * the plan was made is one of its facts.
 */
export function planPlaces({ run }: KeyInput): string[] {
  if (run !== undefined) return [run];
  const uid = tryCall("geteuid");
  const named = process.env["XDG_RUNTIME_DIR"];
  const beneath = named !== undefined && named.startsWith("/") ? [`${named}/dugout`] : [];
  return [`/run/user/${uid}/dugout`, ...beneath, `/tmp/dugout-${uid}`];
}

/** The file of this program; undefined where it runs from sources, which may change between two runs. */
export function ownProgram(): string | undefined {
  return backend().compiled ? process.execPath : undefined;
}

/** The shape of a stream: which copiers it needs, and whether the filter has to guard a terminal. */
function describeStream(fd: Fd): string {
  const stat = statName(fd, "");
  if (typeof stat === "number") return "closed";
  return `${stat.mode & S_IFMT}:${stat.uid}:${isTerminal(fd)}`;
}
