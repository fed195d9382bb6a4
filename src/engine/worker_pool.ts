import { type IdMap } from "#linux/idmap.ts";
import { WorkerProcess } from "#runtime/launch_worker.ts";
import { type WorkerPlan, type WorkerValue } from "#storage/worker.ts";
import { type FollowOptions, followPlan } from "./worker.ts";

/**
 * Workers that are used again: starting one takes some 60 ms of a processor, and as much again until its code is compiled.
 * As many are started as plans run at once. Close it: they wait for plans until then.
 */
export class WorkerPool {
  readonly #map: IdMap;
  readonly #idle: WorkerProcess[] = [];
  readonly #busy = new Set<WorkerProcess>();

  constructor(map: IdMap) {
    this.#map = map;
  }

  /** Starts workers that will be needed, so that they are there when there is something to do. */
  warmUp(workers: number): void {
    while (this.#idle.length < workers) this.#idle.push(this.#start());
  }

  /** Has a plan done. @throws {DugoutError} As {@linkcode followPlan}. */
  async run<Plan extends WorkerPlan>(plan: Plan, options: FollowOptions = {}): Promise<WorkerValue<Plan["kind"]>> {
    options.signal?.throwIfAborted();
    const worker = this.#idle.pop() ?? this.#start();
    this.#busy.add(worker);
    try {
      const value = await followPlan(worker, plan, options);
      this.#idle.push(worker);
      return value;
    } catch (error) {
      worker.kill();
      await worker.end();
      throw error;
    } finally {
      this.#busy.delete(worker);
    }
  }

  /** Ends the workers; what is still being done fails. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of this.#busy) worker.kill();
    const workers = [...this.#idle, ...this.#busy];
    // all are told before one is waited for
    await Promise.all(workers.map((worker) => worker.endInput()));
    for (const worker of workers) await worker.end();
  }

  #start(): WorkerProcess {
    return new WorkerProcess(this.#map, {});
  }
}
