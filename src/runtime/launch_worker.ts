/**
 * Starting this program again as a worker: inside a user namespace, where files of subordinate ids can be made and
 * removed, or plainly beside us, to use another processor.
 *
 * @module
 */
import { BATCH_VARIABLES } from "#cgroup/place.ts";
import { type ByteSink, type ByteSource, openSink, openSource } from "#ffi/mod.ts";
import { type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";
import { addOwn, type IdMap, insideId, isSingle } from "#linux/idmap.ts";
import { SIGNALS } from "#linux/signals.ts";
import { spawn } from "#linux/spawn.ts";
import { failureError } from "#tape/play.ts";
import { readFailure, waitFor } from "#tape/play_encoded.ts";
import { DATA_FD, ROOT_FD } from "#storage/data_stream.ts";
import { type Step, step, type Tape, type TapeBuffer } from "#tape/step.ts";
import { exitCodeOf } from "./launch_container.ts";
import { ownCommand } from "./own_command.ts";
import { becomeRootSteps } from "./namespace_steps.ts";
import { keepCapabilitiesSteps } from "./process_steps.ts";
import { type ContainerView, viewBuffers, viewSteps } from "./view_steps.ts";
import { ERROR_FD } from "./map_ids.ts";
import { startInUserNamespace, USER_NAMESPACE_BUFFERS, userNamespaceSteps } from "./user_namespace.ts";

/** The first argument of a worker. */
export const WORKER_ARGUMENT = "__worker";

/** A line longer than this is refused: a worker reports, it does not carry data. */
const MOST_LINE_CHARACTERS = 64 << 20;

/** What a child of ours gets of the environment: nothing that an image or a directory could have set. */
export function workerEnvironment(): string[] {
  const env = ["PATH=/usr/bin:/bin"];
  for (const name of ["HOME", "DENO_DIR", "DUGOUT_TRACE", ...BATCH_VARIABLES]) {
    const value = process.env[name];
    if (value !== undefined) env.push(`${name}=${value}`);
  }
  return env;
}

/** How a worker is started. */
export interface WorkerOptions {
  /** Whether it needs the rights of a user namespace's root even where the map has a single id. */
  readonly inNamespace?: boolean;
  /** Its stream of data, {@linkcode DATA_FD}; ours stays open. */
  readonly data?: Fd | undefined;
  /** A container's root, {@linkcode ROOT_FD}: opened already, or to be put together in a mount namespace of the worker's. */
  readonly view?: { readonly kind: "opened"; readonly root: Fd } | ContainerView | undefined;
}

/** A worker: it takes plans, a line of JSON each, and answers with lines, until its stdin ends. */
export class WorkerProcess {
  readonly #pid: Pid;
  readonly #input: ByteSink;
  readonly #output: ByteSource;
  readonly #decoder = new TextDecoder();
  #lines: string[] = [];
  #rest = "";
  #exitCode: number | undefined;

  /**
   * Starts one.
   * @param map The ids of its user namespace; a map of one id needs none, and gets none. A map without the caller's id
   * gets it, behind the others: the worker makes files for containers of that map in directories of the caller's.
   * @throws {OsError} Of the step of its start that failed.
   */
  constructor(map: IdMap, options: WorkerOptions) {
    const stdin = makePipe();
    const stdout = makePipe();
    try {
      this.#pid = startWorker(map, stdin.read, stdout.write, options);
    } catch (error) {
      close(stdin.write);
      close(stdout.read);
      throw error;
    } finally {
      close(stdin.read);
      close(stdout.write);
    }
    // by events: two workers that were waited for in calls would take all of Bun's threads on two processors
    this.#input = openSink(stdin.write);
    this.#output = openSource(stdout.read);
  }

  /** Gives it a plan. When it is gone, its missing answer tells. */
  async send(plan: unknown): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${JSON.stringify(plan)}\n`));
  }

  /** The next line that it writes; undefined when it has ended. */
  async nextLine(): Promise<string | undefined> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      const bytes = await this.#output.read();
      if (bytes === undefined) return undefined;
      const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
      this.#rest = lines.pop()!;
      this.#lines = lines;
      if (this.#rest.length > MOST_LINE_CHARACTERS) {
        throw new Error(`Worker wrote a line of more than ${MOST_LINE_CHARACTERS} characters`);
      }
    }
  }

  /** Tells it that no plan comes any more. */
  async endInput(): Promise<void> {
    await this.#input.end();
  }

  /** Ends it at once. */
  kill(): void {
    if (this.#exitCode === undefined) tryCall("kill", this.#pid, SIGNALS.KILL);
  }

  /** Waits for its end, after {@linkcode endInput} or {@linkcode kill}. @returns Its exit code, 128 and the signal where one ended it. */
  async end(): Promise<number> {
    if (this.#exitCode === undefined) {
      await this.endInput();
      await this.#output.cancel();
      this.#exitCode = exitCodeOf(waitFor(this.#pid));
    }
    return this.#exitCode;
  }
}

function startWorker(map: IdMap, input: Fd, output: Fd, { inNamespace, data, view }: WorkerOptions): Pid {
  const [path, ...args] = [...ownCommand(), WORKER_ARGUMENT] as const;
  const env = workerEnvironment();
  const fds = [
    { child: 0, ours: input },
    { child: 1, ours: output },
    ...(data === undefined ? [] : [{ child: DATA_FD, ours: data }]),
    ...(view?.kind === "opened" ? [{ child: ROOT_FD, ours: view.root }] : []),
  ];
  if (isSingle(map) && inNamespace !== true) return spawn({ path, argv: [path, ...args], env, fds });

  // a running container's file system knows its own ids alone
  const ids = view?.kind === "opened"
    ? map
    : { uid: addOwn(map.uid, process.getuid!()), gid: addOwn(map.gid, process.getgid!()) };
  const tape: Tape = {
    steps: [
      ...userNamespaceSteps(ids),
      ...rightsSteps(ids),
      ...(view === undefined || view.kind === "opened" ? [] : viewSteps(view, ROOT_FD)),
      ...closeOthersSteps([...(data === undefined ? [] : [DATA_FD]), ...(view === undefined ? [] : [ROOT_FD])]),
      step("fcntl", [ERROR_FD, 2, 1], "close on exec", "the error pipe"),
      step("execve", [path, { strings: [path, ...args] }, { strings: env }], "execute", path),
    ],
    buffers: new Map<string, TapeBuffer>([...USER_NAMESPACE_BUFFERS, ...viewBuffers()]),
    errorFd: ERROR_FD,
  };
  const playing = startInUserNamespace(tape, ids, fds);
  const failure = readFailure(playing.errors);
  close(playing.errors);
  if (failure !== undefined) {
    waitFor(playing.pid);
    throw failureError(tape, failure);
  }
  return playing.pid;
}

/**
 * A worker stays the caller, who alone may pass a home of mode 0700 whose group is not mapped, and has root's rights over
 * what is mapped. The kernel lets root keep them over an exec; anybody else has to ask. Where the caller has no id, a file
 * could not be made (EOVERFLOW): there it is root.
 */
function rightsSteps(ids: IdMap): Step[] {
  const own = insideId(ids.uid, process.getuid!());
  if (own === undefined) return becomeRootSteps({ uid: 0, gid: 0 });
  return own === 0 ? [] : keepCapabilitiesSteps();
}

/** Closes what the worker is not to have. @param kept In rising order. */
function closeOthersSteps(kept: readonly number[]): Step[] {
  const steps: Step[] = [];
  let from = ERROR_FD + 1;
  for (const fd of kept) {
    steps.push(step("close_range", [from, fd - 1, 0], "close", `descriptors from ${from} on`));
    from = fd + 1;
  }
  return [...steps, step("close_range", [from, 0xffffffff, 0], "close", `descriptors from ${from} on`)];
}
