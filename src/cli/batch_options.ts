/**
 * Flags that make a run a job: what they say, and a command line without them.
 *
 * @module
 */
import type { JobRequest } from "#engine/batch/batch_script.ts";
import { BATCH_OPTIONS } from "./declare/batch_options.ts";
import { RUN_OPTIONS } from "./declare/run.ts";
import { listOption, textOption } from "./options.ts";
import { longName, type Options, shortName } from "./scan.ts";
import { usageError } from "./usage_error.ts";

const NAMES: ReadonlySet<string> = new Set(BATCH_OPTIONS.map(longName));

/** Whether a run is to be a job. @throws {DugoutError} USAGE for another system, and for flags of a job without it. */
export function isBatch(options: Options): boolean {
  const system = textOption(options, "batch");
  if (system === "slurm") return true;
  if (system !== undefined) throw usageError(`there is no batch system ${JSON.stringify(system)}`, 125, "it is slurm");
  const stray = [...NAMES].find((name) => options.has(name));
  if (stray !== undefined) throw usageError(`--${stray} is for jobs of a cluster`, 125, "add --batch slurm");
  return false;
}

/** What a job asks of the cluster. */
export function readJobRequest(options: Options): JobRequest {
  return {
    name: textOption(options, "job-name"),
    nodes: textOption(options, "nodes"),
    tasks: textOption(options, "ntasks"),
    array: textOption(options, "array"),
    time: textOption(options, "time"),
    others: listOption(options, "sbatch"),
  };
}

/** The words of a run without those of the job, up to the image, and those behind it. They have been scanned already. */
export function splitRunWords(words: readonly string[]): { readonly flags: string[]; readonly operands: string[] } {
  const flags: string[] = [];
  for (let at = 0; at < words.length;) {
    const word = words[at]!;
    if (word === "--") return { flags, operands: words.slice(at + 1) };
    if (word.length < 2 || word[0] !== "-") return { flags, operands: words.slice(at) };
    const length = takesNext(word) ? 2 : 1;
    const name = word.startsWith("--") ? word.slice(2).split("=", 1)[0]! : "";
    if (!NAMES.has(name)) flags.push(...words.slice(at, at + length));
    at += length;
  }
  return { flags, operands: [] };
}

/** Whether the value of a flag is the next word: `--env A=b`, `-e A=b`, `-ite A=b`. */
function takesNext(word: string): boolean {
  if (word.startsWith("--")) {
    if (word.includes("=")) return false;
    return RUN_OPTIONS.find((option) => longName(option) === word.slice(2))?.value !== undefined;
  }
  for (let at = 1; at < word.length; at++) {
    if (word[at + 1] === "=") return false;
    const option = RUN_OPTIONS.find((one) => shortName(one) === word[at]);
    if (option?.value !== undefined) return at === word.length - 1;
  }
  return false;
}
