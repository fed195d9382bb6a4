import { RUN_OPTIONS } from "./run.ts";
import type { CommandDeclaration } from "./types.ts";

/** Containers as jobs of Slurm. `run --batch slurm` submits one. */
export const BATCH_COMMANDS: readonly CommandDeclaration[] = [
  {
    names: ["batch script"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    summary: "Print the script of a job that runs a container, and do nothing",
    arguments: { least: 1 },
    stopsAtFirstArgument: true,
    options: RUN_OPTIONS,
    examples: [["batch script --nodes 2 --ntasks 16 solver ./solve > job.sh", "then 'sbatch job.sh'"]],
    failureExitCode: 125,
    note: "Options are those of run; 'dugout run --batch slurm' submits the same script, with the image prepared.",
  },
  {
    names: ["batch ls"],
    usage: "[OPTIONS]",
    summary: "List jobs that were submitted from this store",
    arguments: { least: 0, most: 0 },
    options: [
      { flags: "--format", value: "string", summary: "json, or a Go template such as {{.State}}" },
      { flags: "-q, --quiet", summary: "numbers alone" },
    ],
    examples: [["batch ls", "their states, as long as Slurm knows them"]],
    failureExitCode: 1,
  },
  {
    names: ["batch logs"],
    usage: "JOB",
    summary: "Show what a job has written",
    arguments: { least: 1, most: 1 },
    options: [],
    examples: [["batch logs 1234", "of an array, one after the other"]],
    failureExitCode: 1,
  },
  {
    names: ["batch cancel"],
    usage: "JOB [JOB...]",
    summary: "Cancel jobs",
    arguments: { least: 1 },
    options: [],
    examples: [["batch cancel 1234", "with all of its containers"]],
    failureExitCode: 1,
  },
];
