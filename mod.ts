/**
 * dugout as a library: pull images and run containers from a script, without root and without a daemon. It is the engine
 * itself, not a way to call its command line; both work on the same store.
 *
 *     import { run, start } from "dugout";
 *
 *     const { exitCode, stdout } = await run({ image: "busybox", command: ["uname", "-r"] });
 *
 *     await using web = await start({ image: "nginx" });
 *     await web.exec(["nginx", "-s", "reload"]);
 *     for await (const { stream, text } of web.logs({ follow: true })) …
 *
 * Scripts run under Bun, and under Deno with `-A`.
 *
 * @module
 */

export { run } from "#engine/script/run.ts";
export type { ContainerProcess, ContainerResult, ContainerStart } from "#engine/script/run.ts";
export { Container, container, containers, start } from "#engine/script/container.ts";
export type {
  ContainerDetails,
  ContainerSummary,
  RemoveOptions,
  StartOptions,
  StopOptions,
} from "#engine/script/container.ts";
export type { ExecOptions, ExecProcess } from "#engine/script/exec.ts";
export type { LogChunk, LogOptions } from "#engine/script/logs.ts";
export type { ContainerOptions, EnginePlaces } from "#engine/script/options.ts";
export type { OutputMode, Program, ProgramOptions, ProgramResult, ProgramStart } from "#engine/script/program.ts";
export type { InputChunk, InputSource } from "#engine/script/input.ts";
export { images, type ImageSummary, pull, type PullOptions } from "#engine/script/images.ts";
export type { PullEvent } from "#image/pull.ts";
export { DugoutError } from "#oci/error.ts";
export { OsError } from "#linux/errno.ts";
