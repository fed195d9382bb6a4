import { type IdMap } from "#linux/idmap.ts";
import { type WorkerOptions, WorkerProcess } from "#runtime/launch_worker.ts";
import { parseWorkerLine, unpackError, type WorkerPlan, type WorkerValue } from "#storage/worker.ts";

/** How a plan is followed. */
export interface FollowOptions {
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
  /** Ends the worker. */
  readonly signal?: AbortSignal | undefined;
}

/** How a worker for one plan is started and followed. */
export interface RunWorkerOptions extends FollowOptions {
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
  options.signal?.throwIfAborted();
  const worker = new WorkerProcess(map, {
    inNamespace: options.inNamespace ?? READS_ALL.has(plan.kind),
    data: options.data,
    view: options.view,
  });
  try {
    return await followPlan(worker, plan, options);
  } finally {
    await worker.end();
  }
}

/**
 * Has a worker do a plan, and waits for the outcome.
 * @throws {DugoutError} What the worker threw, after which it can be given another plan; WORKER_ENDED when it was killed, and
 * the signal's reason, after which it cannot.
 */
export async function followPlan<Plan extends WorkerPlan>(
  worker: WorkerProcess,
  plan: Plan,
  { onProgress, signal }: FollowOptions,
): Promise<WorkerValue<Plan["kind"]>> {
  const kill = () => worker.kill();
  signal?.addEventListener("abort", kill);
  try {
    await worker.send(plan);
    for (;;) {
      const text = await worker.nextLine();
      signal?.throwIfAborted();
      if (text === undefined) break;
      const line = parseWorkerLine(text);
      if (line?.kind === "progress") onProgress?.(line.doneBytes, line.totalBytes);
      else if (line?.kind === "done") return line.value as WorkerValue<Plan["kind"]>;
      else if (line?.kind === "failed") throw unpackError(line.error);
    }
  } finally {
    signal?.removeEventListener("abort", kill);
  }
  const code = await worker.end();
  throw unpackError({
    code: "WORKER_ENDED",
    message: `Worker for "${plan.kind}" ended with exit code ${code} and without an answer`,
    hint: code === 137 ? "it was killed: did the machine run out of memory?" : undefined,
    exitCode: 125,
  });
}
