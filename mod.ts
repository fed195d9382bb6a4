/**
 * dugout as a library: pull images and run containers from a script, without root and without a daemon. It is the engine
 * itself, not a way to call its command line; both work on the same store.
 *
 *     import { images, pull, run } from "dugout";
 *
 *     const { exitCode, stdout } = await run({ image: "busybox", command: ["uname", "-r"] });
 *
 * Scripts run under Bun, and under Deno with `-A`.
 *
 * @module
 */
import { type ContainerOptions } from "#engine/script/options.ts";
import { ContainerProcess } from "#engine/script/process.ts";

export type { ContainerOptions, EnginePlaces, OutputMode } from "#engine/script/options.ts";
export type { ContainerProcess, ContainerResult, ContainerStart } from "#engine/script/process.ts";
export type { InputChunk, InputSource } from "#engine/script/input.ts";
export { images, type ImageSummary, pull, type PullOptions } from "#engine/script/images.ts";
export type { PullEvent } from "#image/pull.ts";
export { DugoutError } from "#oci/error.ts";
export { OsError } from "#linux/errno.ts";

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
  return new ContainerProcess(options);
}
