import { batchJob } from "#linux/batch_job.ts";
import { DugoutError } from "#oci/error.ts";

/** What to do instead. */
export const FOREGROUND_HINT =
  "run it in the foreground, with & behind it in the job's script; srun does so for each task";

/**
 * In a job nothing is started that outlives its command: the batch system would end it with the first job that needed it, or
 * lose sight of it, with what it uses.
 * @param what Cannot be done, in words.
 * @throws {DugoutError} IN_BATCH_JOB.
 */
export function requireOutsideJob(what: string, hint: string): void {
  const job = batchJob();
  if (job === undefined) return;
  throw new DugoutError(
    "IN_BATCH_JOB",
    `Cannot ${what} in job ${job}: it would outlive its command, and escape the job`,
    {
      hint,
    },
  );
}
