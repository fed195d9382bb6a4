import type { OptionDeclaration } from "./types.ts";

const BATCH = "As a job of a cluster:";

/** What makes a run a job: read by ../batch_options.ts. */
export const BATCH_OPTIONS: readonly OptionDeclaration[] = [
  { flags: "--batch", value: "system", group: BATCH, summary: "submit it as a job: slurm" },
  { flags: "--array", value: "list", group: BATCH, summary: "so many jobs, by number: 0-15 (sbatch)" },
  { flags: "--job-name", value: "string", group: BATCH, summary: "the job's name, instead of the image's" },
  { flags: "--nodes", value: "string", group: BATCH, summary: "nodes of the job" },
  { flags: "--ntasks", value: "string", group: BATCH, summary: "tasks of the job, a container each" },
  {
    flags: "--sbatch",
    value: "option",
    repeatable: true,
    group: BATCH,
    summary: "any option of sbatch: --partition=long",
  },
  { flags: "--time", value: "time", group: BATCH, summary: "time that the job may take (sbatch)" },
];
