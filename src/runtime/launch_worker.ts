/**
 * Starting this program again as a worker: inside a user namespace, where files of subordinate ids can be made and
 * removed, or plainly beside us, to use another processor.
 *
 * @module
 */
import { allocate, readLater, writeLater } from "#ffi/mod.ts";
import { expectResult, type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close, makePipe } from "#linux/file.ts";
import { addOwn, type IdMap, insideId, isSingle } from "#linux/idmap.ts";
import { spawn } from "#linux/spawn.ts";
import { failureError, readFailure, waitFor } from "#tape/play.ts";
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
  for (const name of ["HOME", "DENO_DIR", "DUGOUT_TRACE"]) {
    const value = process.env[name];
    if (value !== undefined) env.push(`${name}=${value}`);
  }
  return env;
}

/** A worker at work. */
export interface WorkerOptions {
  /** Gets each line that the worker writes. */
  readonly onLine: (line: string) => void;
  /** Whether it needs the rights of a user namespace's root even where the map has a single id. */
  readonly inNamespace?: boolean;
  /** Ends the worker. */
  readonly signal?: AbortSignal | undefined;
  /** Its stream of data, {@linkcode DATA_FD}; ours stays open. */
  readonly data?: Fd | undefined;
  /** A container's root, {@linkcode ROOT_FD}: opened already, or to be put together in a mount namespace of the worker's. */
  readonly view?: { readonly kind: "opened"; readonly root: Fd } | ContainerView | undefined;
}

const SIGKILL = 9;

/**
 * Runs a worker on a plan until it ends.
 * @param map The ids of its user namespace; a map of one id needs none, and gets none. A map without the caller's id
 * gets it, behind the others: the worker makes files for containers of that map in directories of the caller's.
 * @param plan What it reads from stdin, as JSON.
 * @returns Its exit code, 128 and the signal where one ended it.
 */
export async function launchWorker(map: IdMap, plan: unknown, options: WorkerOptions): Promise<number> {
  const stdin = makePipe();
  const stdout = makePipe();
  let pid: Pid;
  try {
    pid = startWorker(map, stdin.read, stdout.write, options);
  } catch (error) {
    close(stdin.write);
    close(stdout.read);
    throw error;
  } finally {
    close(stdin.read);
    close(stdout.write);
  }
  const kill = () => void tryCall("kill", pid, SIGKILL);
  options.signal?.addEventListener("abort", kill);
  try {
    await writeAllLater(stdin.write, new TextEncoder().encode(JSON.stringify(plan)));
    close(stdin.write);
    await readLinesLater(stdout.read, options.onLine);
  } finally {
    options.signal?.removeEventListener("abort", kill);
    close(stdout.read);
  }
  return exitCodeOf(waitFor(pid));
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

/** Writes all; when the worker is gone, its missing answer tells. */
async function writeAllLater(fd: Fd, bytes: Uint8Array): Promise<void> {
  const source = allocate(bytes.length);
  source.set(bytes);
  for (let done = 0; done < source.length;) {
    const count = await writeLater(fd, source.subarray(done));
    if (count < 0) return;
    done += count;
  }
}

async function readLinesLater(fd: Fd, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  const buffer = allocate(65536);
  let rest = "";
  for (;;) {
    const count = expectResult(await readLater(fd, buffer), "read", "answer of a worker");
    if (count === 0) return;
    const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
    if (rest.length > MOST_LINE_CHARACTERS) {
      throw new Error(`Worker wrote a line of more than ${MOST_LINE_CHARACTERS} characters`);
    }
  }
}
