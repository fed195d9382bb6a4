import type { Platform } from "#oci/platform.ts";
import { runContainer } from "../life/run.ts";
import { type Engine, openEngine } from "../engine.ts";
import { pull } from "../store/pull.ts";
import { type ContainerOptions, readContainerOptions, readPlaces } from "./options.ts";
import { Program, type ProgramStart, type Told } from "./program.ts";

/** A container that runs: its first process, as this machine sees it. */
export interface ContainerStart extends ProgramStart {
  readonly id: string;
  readonly name: string;
}

/** How a container ended. A program that fails is no error: look at its exit code. */
export type ContainerResult = Told<ContainerStart>;

/** A container that runs as long as this program does: a promise of how it ended, with its streams. Made by {@linkcode run}. */
export type ContainerProcess = Program<ContainerStart>;

/**
 * Runs a container. What it returns is a promise of how it ended, and has its streams meanwhile:
 *
 *     const process = run({ image: "busybox", command: ["sort"], stdin: "pipe" });
 *     const writer = process.stdin.getWriter();
 *     await writer.write("b\na\n");
 *     await writer.close();
 *     for await (const chunk of process.stdout) …
 *     const { exitCode } = await process;
 *
 * An output that nobody reads as a stream is in the result, as text. A program that fails is no error: look at its exit
 * code. The container is removed when it has ended, unless `rm` is false.
 *
 * The promise rejects when the container could not be started (a {@linkcode DugoutError} or {@linkcode OsError}, each
 * with a `code`), or with the reason of `signal` when that ended it; by then nothing of it is left.
 */
export function run(options: ContainerOptions): ContainerProcess {
  return new Program<ContainerStart>(options, async ({ streams, cancel, begin }) => {
    const { request, options: read } = readContainerOptions(options, true);
    const engine = openEngine(readPlaces(options));
    const { exitCode } = await runContainer({
      engine,
      request,
      options: read,
      streams,
      fetchImage: fetchFor(engine, read.platform, cancel),
      started: ({ id, name, running }) => begin({ id, name, pid: running.pid }, running.pidfd),
    });
    return exitCode;
  });
}

/** What pulls an image that is not there. */
export function fetchFor(
  engine: Engine,
  platform: Platform | undefined,
  signal: AbortSignal | undefined,
): (name: string) => Promise<void> {
  return async (name) => {
    await pull(engine, name, { platform, signal });
  };
}
