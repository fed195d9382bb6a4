/** The job of Slurm that this process belongs to; undefined outside of one. */
export function batchJob(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  return env["SLURM_JOB_ID"] || undefined;
}
