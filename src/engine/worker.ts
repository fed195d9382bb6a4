import { type IdMap } from "#linux/idmap.ts";
import { launchWorker, type WorkerOptions } from "#runtime/launch_worker.ts";
import { parseWorkerLine, unpackError, type WorkerLine, type WorkerPlan, type WorkerValue } from "#storage/worker.ts";

/** How a worker is followed. */
export interface RunWorkerOptions {
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Its stream of data, and a container's root. */
  readonly data?: WorkerOptions["data"];
  readonly view?: WorkerOptions["view"];
  /** Whether it has root's rights in a user namespace, also where the map has a single id; default: as its plan needs. */
  readonly inNamespace?: boolean | undefined;
}

/** Plans that read files which their owner may not read: they need root's rights, also with a single id. */
const READS_ALL: ReadonlySet<WorkerPlan["kind"]> = new Set(["vfsRoot", "fillVolumes", "measureTrees"]);

/**
 * Has a plan done by a worker in a user namespace with these ids (or, with one id, by one beside us).
 * @throws {DugoutError} What the worker threw; WORKER_ENDED when it was killed.
 */
export async function runInWorker<Plan extends WorkerPlan>(
  map: IdMap,
  plan: Plan,
  options: RunWorkerOptions = {},
): Promise<WorkerValue<Plan["kind"]>> {
  let last: WorkerLine | undefined;
  const code = await launchWorker(map, plan, {
    signal: options.signal,
    inNamespace: options.inNamespace ?? READS_ALL.has(plan.kind),
    data: options.data,
    view: options.view,
    onLine(text) {
      const line = parseWorkerLine(text);
      if (line?.kind === "progress") options.onProgress?.(line.doneBytes, line.totalBytes);
      else if (line !== undefined) last = line;
    },
  });
  options.signal?.throwIfAborted();
  if (last?.kind === "done") return last.value as WorkerValue<Plan["kind"]>;
  if (last?.kind === "failed") throw unpackError(last.error);
  throw unpackError({
    code: "WORKER_ENDED",
    message: `Worker for "${plan.kind}" ended with exit code ${code} and without an answer`,
    hint: code === 137 ? "it was killed: did the machine run out of memory?" : undefined,
    exitCode: 125,
  });
}
