import { readRun, type RunRead } from "#docker/read_run.ts";
import {
  type BatchJob,
  cancelJob,
  listJobs,
  outputPattern,
  readJob,
  readOutputs,
  readStates,
  submitJob,
} from "#engine/batch/batch_jobs.ts";
import { batchScript } from "#engine/batch/batch_script.ts";
import { openEngine } from "#engine/engine.ts";
import { planRun } from "#engine/life/make_container.ts";
import { ownCommand } from "#runtime/own_command.ts";
import { readJobRequest, splitRunWords } from "../batch_options.ts";
import { warn } from "../context.ts";
import { formatRows } from "../format/rows.ts";
import type { Invocation } from "../invocation.ts";
import { hasSwitch, textOption } from "../options.ts";
import { printOut, writeAll } from "../output.ts";
import { usageError } from "../usage_error.ts";
import { createRunContext, fetchImage } from "./run.ts";

/** `dugout run --batch slurm`: the image is prepared once, then the job is submitted. Prints its number. */
export async function runBatch(invocation: Invocation): Promise<number> {
  const read = readJobRun(invocation);
  const engine = open(invocation);
  // the layers are on disk before the first task looks for them
  const { root } = await planRun({ engine, ...read, fetchImage: (name) => fetchImage(invocation, read, name) });
  const { script, image, command } = makeScript(invocation, read, engine.dataRoot, root.imageId);
  printOut(`${submitJob(engine.dataRoot, script, image, command).id}\n`);
  return 0;
}

/** `dugout batch script` */
export function runBatchScript(invocation: Invocation): number {
  const read = readJobRun(invocation);
  printOut(makeScript(invocation, read, open(invocation).dataRoot, undefined).script);
  return 0;
}

function open({ global }: Invocation) {
  return openEngine({ ...global, warn: (message) => warn(global, message) });
}

function readJobRun({ options, args }: Invocation): RunRead {
  const read = readRun(options, args, createRunContext());
  if (read.options.detach || read.options.tty || read.options.interactive) {
    throw usageError(
      "a job has no terminal and no input, and is in the background anyway",
      125,
      "leave out -d, -i and -t",
    );
  }
  return read;
}

/** @param imageId Of the image that was prepared: the job has that one, whatever its name means later. */
function makeScript(
  { options, words, global }: Invocation,
  { options: run }: RunRead,
  dataRoot: string,
  imageId: string | undefined,
): { script: string; image: string; command: string[] } {
  const { flags, operands: [image = "", ...rest] } = splitRunWords(words);
  const command = [
    ...ownCommand(),
    ...(global.root === undefined ? [] : ["--root", dataRoot]),
    ...(global.storageDriver === undefined ? [] : ["--storage-driver", global.storageDriver]),
    "run",
    ...flags,
    ...(run.rm ? [] : ["--rm"]),
    "--env-job",
    ...(imageId === undefined ? [image] : ["--pull", "never", imageId]),
    ...rest,
  ];
  const job = readJobRequest(options);
  const output = outputPattern(dataRoot, job.array !== undefined);
  return { script: batchScript({ request: job, image, output, command }), image, command: rest };
}

const LIST = {
  noun: "job",
  headers: { Job: "JOB", Image: "IMAGE", Command: "COMMAND", Submitted: "SUBMITTED", State: "STATE" },
  columns: ["Job", "Image", "Command", "Submitted", "State"],
};

/** `dugout batch ls` */
export function runBatchList(invocation: Invocation): number {
  const jobs = listJobs(open(invocation).dataRoot);
  if (hasSwitch(invocation.options, "quiet")) {
    printOut(jobs.map(({ id }) => `${id}\n`).join(""));
    return 0;
  }
  const states = readStates(jobs);
  const row = ({ id, image, command, submitted }: BatchJob) => ({
    Job: id,
    Image: image,
    Command: command.length > 40 ? `${command.slice(0, 39)}…` : command,
    Submitted: submitted,
    // Slurm forgets what has ended, after some minutes
    State: states.get(id) ?? "ENDED",
  });
  printOut(formatRows(jobs.map(row), LIST, textOption(invocation.options, "format")));
  return 0;
}

/** `dugout batch logs` */
export function runBatchLogs(invocation: Invocation): number {
  const { dataRoot } = open(invocation);
  const { id } = readJob(dataRoot, invocation.args[0]!);
  for (const { bytes } of readOutputs(dataRoot, id)) writeAll(1, bytes);
  return 0;
}

/** `dugout batch cancel` */
export function runBatchCancel(invocation: Invocation): number {
  const { dataRoot } = open(invocation);
  for (const { id } of invocation.args.map((job) => readJob(dataRoot, job))) {
    cancelJob(id);
    printOut(`${id}\n`);
  }
  return 0;
}
