/**
 * Jobs of Slurm that run containers: submitted, and found again.
 *
 *     DATA/batch/JOB.json     what was submitted
 *     DATA/batch/JOB*.out     what its tasks wrote; of an array one file each
 *
 * @module
 */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { isJsonObject, parseJson } from "#oci/json.ts";
import { quote } from "#oci/text.ts";
import { writeFileWhole } from "#storage/write_file_whole.ts";

/** A job that was submitted. */
export interface BatchJob {
  readonly id: string;
  readonly image: string;
  /** RFC 3339. */
  readonly submitted: string;
  readonly command: string;
}

const MOST_BYTES = 1 << 20;
const OUTPUT_BYTES = 64 << 20;

/** Where jobs are noted, and write. */
export function batchDirectory(dataRoot: string): string {
  return join(dataRoot, "batch");
}

/** Where a job writes: sbatch's pattern. @param isArray Its jobs have a file each. */
export function outputPattern(dataRoot: string, isArray: boolean): string {
  // Slurm takes these for the job's numbers, and every % of a path for one, too
  const directory = batchDirectory(dataRoot).replaceAll("%", "%%");
  return join(directory, isArray ? "%A_%a.out" : "%j.out");
}

/** Submits a script. @returns The job. @throws {DugoutError} BATCH_FAILED, with what sbatch said. */
export function submitJob(dataRoot: string, script: string, image: string, command: readonly string[]): BatchJob {
  mkdirSync(batchDirectory(dataRoot), { recursive: true, mode: 0o700 });
  const answer = callSlurm("sbatch", ["--parsable"], script);
  const id = /^([0-9]{1,10})(?:;|\n|$)/.exec(answer)?.[1];
  if (id === undefined) {
    throw new DugoutError("BATCH_FAILED", `Cannot tell which job was submitted: sbatch said ${quote(answer)}`);
  }
  const job = { id, image, submitted: new Date().toISOString(), command: command.join(" ") };
  writeFileWhole(join(batchDirectory(dataRoot), `${id}.json`), JSON.stringify(job));
  return job;
}

/** All jobs that were submitted from this store, the newest first. */
export function listJobs(dataRoot: string): BatchJob[] {
  let names: string[];
  try {
    names = readdirSync(batchDirectory(dataRoot));
  } catch {
    return [];
  }
  const ids = names.flatMap((name) => /^([0-9]{1,10})\.json$/.exec(name)?.[1] ?? []);
  return ids.map((id) => readJob(dataRoot, id)).sort((one, other) => Number(other.id) - Number(one.id));
}

/** A job by its number. @throws {DugoutError} BATCH_UNKNOWN. */
export function readJob(dataRoot: string, id: string): BatchJob {
  const path = join(batchDirectory(dataRoot), `${id}.json`);
  let text: string | undefined;
  if (/^[0-9]{1,10}$/.test(id)) {
    try {
      text = readFileSync(path, "utf8");
    } catch {
      // told below
    }
  }
  if (text === undefined) throw new DugoutError("BATCH_UNKNOWN", `No such job: ${quote(id)}`, { exitCode: 1 });
  const value = parseJson(text, `the job ${id}`, { maxBytes: MOST_BYTES });
  const field = (name: string) => isJsonObject(value) && typeof value[name] === "string" ? value[name] : "";
  return { id, image: field("image"), submitted: field("submitted"), command: field("command") };
}

/** The states of jobs that Slurm still knows, as squeue(1) names them; of arrays, all that there are. */
export function readStates(jobs: readonly BatchJob[]): Map<string, string> {
  const found = new Map<string, Set<string>>();
  if (jobs.length === 0) return new Map();
  // %A is the number of the job as a whole, whatever its parts are called
  const text = callSlurm("squeue", ["--noheader", "--me", "--states=all", "--format=%A|%F|%T"]);
  for (const line of text.split("\n")) {
    const [, whole, state] = line.trim().split("|");
    if (whole === undefined || state === undefined) continue;
    found.set(whole, (found.get(whole) ?? new Set()).add(state));
  }
  return new Map([...found].map(([id, states]) => [id, [...states].sort().join(",")]));
}

/** What a job has written, by file. */
export function readOutputs(dataRoot: string, id: string): { readonly name: string; readonly bytes: Uint8Array }[] {
  const directory = batchDirectory(dataRoot);
  const own = readdirSync(directory).filter((name) =>
    name === `${id}.out` || /^_[0-9]+\.out$/.test(name.slice(id.length)) && name.startsWith(`${id}_`)
  );
  const part = (name: string) => Number(name.slice(id.length + 1, -".out".length)) || 0;
  return own.sort((one, other) => part(one) - part(other)).map((name) => ({
    name,
    bytes: readFileSync(join(directory, name)).subarray(-OUTPUT_BYTES),
  }));
}

/** Cancels a job. @throws {DugoutError} BATCH_FAILED. */
export function cancelJob(id: string): void {
  callSlurm("scancel", [id]);
}

function callSlurm(program: string, args: readonly string[], input = ""): string {
  const { spawnSync } = process.getBuiltinModule("node:child_process");
  const ended = spawnSync(program, args, { input, encoding: "utf8", maxBuffer: 64 << 20 });
  if (ended.status === 0) return ended.stdout;
  const isMissing = (ended.error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
  const why = isMissing
    ? "it is not installed"
    : ended.stderr?.trim() || ended.error?.message || `exit code ${ended.status}`;
  throw new DugoutError("BATCH_FAILED", `Cannot run ${program}: ${quote(why, 2000)}`, {
    exitCode: isMissing ? 127 : 125,
    ...(isMissing ? { hint: "run this where jobs are submitted: on a login node of the cluster" } : {}),
  });
}
