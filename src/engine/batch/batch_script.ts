/**
 * A container as a job of Slurm: the script that sbatch(1) takes. Pure.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** What a job asks of the cluster. */
export interface JobRequest {
  /** `--job-name`; undefined: the image's name. */
  readonly name: string | undefined;
  readonly nodes: string | undefined;
  readonly tasks: string | undefined;
  readonly array: string | undefined;
  readonly time: string | undefined;
  /** Options of sbatch as they are, one each: `--partition=long`. */
  readonly others: readonly string[];
}

/** A whole job. */
export interface JobScript {
  readonly request: JobRequest;
  readonly image: string;
  /** Where each job of it writes: sbatch's pattern. */
  readonly output: string;
  /** What each task executes. */
  readonly command: readonly string[];
}

/** The script. Each task of the job is a container. @throws {DugoutError} BATCH_INVALID. */
export function batchScript({ request, image, output, command }: JobScript): string {
  const { name = jobName(image), nodes, tasks, array, time, others } = request;
  const options = [
    `--job-name=${name}`,
    ...(nodes === undefined ? [] : [`--nodes=${nodes}`]),
    ...(tasks === undefined ? [] : [`--ntasks=${tasks}`]),
    ...(array === undefined ? [] : [`--array=${array}`]),
    ...(time === undefined ? [] : [`--time=${time}`]),
    `--output=${output}`,
    ...others,
  ];
  return [
    "#!/bin/sh",
    ...options.map((option) => `#SBATCH ${checkLine(option)}`),
    `# dugout: ${checkLine(image)}`,
    `exec srun ${command.map(quoteWord).join(" ")}`,
    "",
  ].join("\n");
}

/** The last part of an image's name. */
function jobName(image: string): string {
  return image.replace(/@.*$/, "").split("/").at(-1)!.replace(/:.*$/, "").replaceAll(/[^A-Za-z0-9_.-]/g, "_") ||
    "dugout";
}

/** A line ends where the next directive, or a command, would begin. */
function checkLine(text: string): string {
  if (!/[\0-\x1f\x7f]/.test(text)) return text;
  throw new DugoutError("BATCH_INVALID", `Cannot write ${quote(text)} into a job's script: it has a control character`);
}

/** A word as sh(1) reads it back. */
export function quoteWord(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
