/**
 * Work on files whose owners exist only inside of a user namespace. The binary executes itself there, is given plans as
 * lines of JSON on stdin, and answers each with lines of JSON on stdout: progress now and then, the outcome last.
 *
 * Each plan is complete: a worker reads no environment, no configuration and no container's files but those it names.
 *
 * @module
 */
import * as v from "valibot";
import { OsError } from "#linux/errno.ts";
import { type Digest, isDigest } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { TarError } from "#tar/error.ts";
import { archiveChanges, exportTree, listChanges, type TreesResult } from "./container_trees.ts";
import { archivePath, type CopyResult, extractToPath } from "./copy_trees.ts";
import { fillVolumes } from "./fill_volume.ts";
import { removeLayer, sweepLayers } from "./layers.ts";
import { measureTreeIfThere } from "./measure_tree.ts";
import { removePath } from "./remove_tree.ts";
import { settleLayers } from "./settle.ts";
import { unpackLayer, type UnpackResult } from "./unpack.ts";
import { buildVfsRoot } from "./vfs.ts";

const path = v.pipe(v.string(), v.startsWith("/"));
const diffId = v.pipe(v.string(), v.check((text) => isDigest(text)), v.transform((text) => text as Digest));
const ownership = v.picklist(["single", "mapped"]);
const place = v.picklist(["host", "container"]);
const limit = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const limits = v.object({ maxEntries: limit, maxFileBytes: limit, maxTotalBytes: limit, maxRatio: limit });

const trees = {
  tree: path,
  lowers: v.array(path),
  layers: path,
  diffIds: v.array(diffId),
  isComplete: v.boolean(),
  mountPoints: v.array(path),
};

const PlanSchema = v.variant("kind", [
  v.object({
    kind: v.literal("unpack"),
    layers: path,
    diffId,
    blob: path,
    ownership,
    limits: v.optional(limits),
  }),
  v.object({ kind: v.literal("removeTree"), path }),
  v.object({ kind: v.literal("measureTrees"), paths: v.array(path) }),
  v.object({ kind: v.literal("removeLayer"), layers: path, diffId }),
  v.object({ kind: v.literal("sweepLayers"), layers: path }),
  v.object({ kind: v.literal("settle"), layers: path, diffIds: v.array(diffId) }),
  v.object({
    kind: v.literal("fillVolumes"),
    directories: v.array(path),
    volumes: v.array(v.object({ volume: path, target: path, copies: v.boolean() })),
  }),
  v.object({ kind: v.literal("vfsRoot"), layers: path, diffIds: v.array(diffId), target: path }),
  v.object({
    kind: v.literal("archive"),
    place,
    path,
    follow: v.boolean(),
    name: v.string(),
    owners: v.picklist(["kept", "root"]),
    sparse: v.boolean(),
    container: v.optional(v.string()),
  }),
  v.object({
    kind: v.literal("extract"),
    place,
    path,
    source: v.optional(v.string()),
    owners: v.picklist(["kept", "own"]),
    isInert: v.boolean(),
    container: v.optional(v.string()),
  }),
  v.object({ kind: v.literal("listChanges"), ...trees }),
  v.object({ kind: v.literal("archiveChanges"), ...trees }),
  v.object({ kind: v.literal("exportTree"), ...trees }),
]);

/** What a worker can be asked for. Paths are absolute. */
export type WorkerPlan = v.InferOutput<typeof PlanSchema>;

/** What each kind of plan answers. */
export type WorkerValue<Kind extends WorkerPlan["kind"]> = Kind extends "unpack" ? UnpackResult
  : Kind extends "removeTree" | "removeLayer" ? { removed: boolean }
  : Kind extends "measureTrees" ? { sizesBytes: number[] }
  : Kind extends "sweepLayers" ? { removed: number }
  : Kind extends "archive" | "extract" ? CopyResult
  : Kind extends "listChanges" | "archiveChanges" | "exportTree" ? TreesResult
  : Record<string, never>;

/** A line of a worker's output. */
export type WorkerLine =
  | { readonly kind: "progress"; readonly doneBytes: number; readonly totalBytes: number }
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly error: WorkerFailure };

/** An error on its way between processes. */
export type WorkerFailure = {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly exitCode: number;
};

async function runPlan(
  plan: WorkerPlan,
  onProgress?: (doneBytes: number, totalBytes: number) => void,
  signal?: AbortSignal,
): Promise<unknown> {
  switch (plan.kind) {
    case "unpack":
      return await unpackLayer(plan, onProgress, signal);
    case "removeTree":
      return { removed: removePath(plan.path) };
    case "measureTrees":
      return { sizesBytes: plan.paths.map((path) => measureTreeIfThere(path)) };
    case "removeLayer":
      return { removed: removeLayer(plan.layers, plan.diffId) };
    case "sweepLayers":
      return { removed: sweepLayers(plan.layers) };
    case "settle":
      settleLayers(plan.layers, plan.diffIds);
      return {};
    case "fillVolumes":
      await fillVolumes(plan.directories, plan.volumes);
      return {};
    case "vfsRoot":
      buildVfsRoot(plan.layers, plan.diffIds, plan.target);
      return {};
    case "archive":
      return archivePath(plan);
    case "extract":
      return extractToPath({ ...plan, source: plan.source });
    case "listChanges":
      return listChanges(plan);
    case "archiveChanges":
      return archiveChanges(plan);
    case "exportTree":
      return exportTree(plan);
    default:
      throw new Error(`Unknown plan ${plan satisfies never}`);
  }
}

/** Progress is told at most so often. */
const PROGRESS_MS = 100;

/**
 * The worker's whole life: plans come, a line each, and lines go out about each, until the input ends.
 * @returns The exit code: 0, or 1 where the last plan failed.
 */
export async function serveWorker(
  input: AsyncIterable<Uint8Array>,
  write: (line: string) => void,
  nowMs: () => number,
): Promise<number> {
  const say = (line: WorkerLine) => write(`${JSON.stringify(line)}\n`);
  let code = 0;
  try {
    for await (const text of readPlans(input)) {
      code = await servePlan(text, say, nowMs) ? 0 : 1;
    }
    return code;
  } catch (error) {
    say({ kind: "failed", error: packError(error) });
    return 1;
  }
}

/** Does one plan, and says what came of it. */
async function servePlan(text: string, say: (line: WorkerLine) => void, nowMs: () => number): Promise<boolean> {
  try {
    let lastMs = -Infinity;
    const value = await runPlan(parseWorkerPlan(text), (doneBytes, totalBytes) => {
      const ms = nowMs();
      if (ms - lastMs < PROGRESS_MS) return;
      lastMs = ms;
      say({ kind: "progress", doneBytes, totalBytes });
    });
    say({ kind: "done", value });
    return true;
  } catch (error) {
    say({ kind: "failed", error: packError(error) });
    return false;
  }
}

/** @throws {DugoutError} PLAN_INVALID */
export function parseWorkerPlan(text: string): WorkerPlan {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DugoutError("PLAN_INVALID", "Cannot read the worker's plan: it is no JSON", { cause: error });
  }
  const parsed = v.safeParse(PlanSchema, value);
  if (parsed.success) return parsed.output;
  throw new DugoutError("PLAN_INVALID", `Cannot read the worker's plan: ${parsed.issues[0].message}`);
}

const MAX_PLAN_BYTES = 16 << 20;

/** The lines of the input; the last one needs no end. */
async function* readPlans(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
    if (rest.length > MAX_PLAN_BYTES) {
      throw new DugoutError("PLAN_INVALID", "Cannot read the worker's plan: it is too long");
    }
  }
  if (rest !== "") yield rest;
}

/** An error as data. A bug of ours keeps its stack, for the report. */
export function packError(error: unknown): WorkerFailure {
  if (error instanceof DugoutError || error instanceof OsError) {
    const exitCode = error instanceof DugoutError ? error.exitCode : 125;
    return { code: error.code, message: error.message, hint: error.hint, exitCode };
  }
  if (error instanceof TarError) return { code: "ARCHIVE_IMPOSSIBLE", message: error.message, exitCode: 1 };
  const message = error instanceof Error ? error.stack ?? error.message : String(error);
  const code = error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.code
    : "WORKER_FAILED";
  return { code, message, exitCode: 125 };
}

/** The error again, at the other end. */
export function unpackError(failure: WorkerFailure): DugoutError {
  return new DugoutError(failure.code, failure.message, { hint: failure.hint, exitCode: failure.exitCode });
}

/** A line of a worker's output; undefined for what is none. */
export function parseWorkerLine(line: string): WorkerLine | undefined {
  try {
    const value = JSON.parse(line) as WorkerLine;
    return value !== null && typeof value === "object" && typeof value.kind === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
