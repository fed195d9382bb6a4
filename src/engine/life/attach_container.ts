/**
 * Attaching to a container that runs: what it writes from now on is shown, what is typed goes to it.
 *
 * @module
 */
import { takeInput } from "./stay_with_container.ts";
import { type ByteSink, openSink } from "#ffi/mod.ts";
import { type Fd, type Pid, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { DugoutError } from "#oci/error.ts";
import { containerDirectory } from "../record/container_directory.ts";
import type { ContainerRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { containerEvent, noteEvent } from "../events/events.ts";
import type { HeldSignals } from "../streams/foreground.ts";
import { keepsOutput } from "../record/keeps_output.ts";
import { readKeptRequest } from "./kept_container.ts";
import { makeInterruptHint } from "../streams/interrupt_hint.ts";
import { typeInto } from "../streams/relay_terminal.ts";
import { type ShownStreams, showOutput } from "../streams/show_output.ts";
import { shownExitCode } from "../record/containers.ts";
import { waitForEnd } from "./signal_container.ts";
import type { ContainerState } from "../record/container_state.ts";
import type { StayEnd } from "./stay_with_container.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** How a caller attaches. */
export interface AttachOptions {
  readonly streams: ShownStreams;
  /** Whether what is typed goes to the container, where it reads. */
  readonly reads: boolean;
  readonly detachKeys: readonly number[];
  /** To pass on; undefined with `--sig-proxy=false`. */
  readonly signals: HeldSignals | undefined;
}

/**
 * Attaches to a container until it ends, or the detach keys are typed.
 * @throws {DugoutError} CONTAINER_NOT_RUNNING, OUTPUT_NOT_KEPT.
 */
export async function attachContainer(
  engine: Engine,
  record: ContainerRecord,
  { streams, reads, detachKeys, signals }: AttachOptions,
): Promise<StayEnd> {
  const { request, options } = readKeptRequest(record);
  const state = requireRunning(engine, record);
  if (!keepsOutput(request, options)) {
    throw new DugoutError(
      "OUTPUT_NOT_KEPT",
      `Cannot attach to the container "${record.name}": its streams are those of the command that runs it`,
      { exitCode: 1, hint: "what is run with -d, with -t or without --rm can be attached to" },
    );
  }
  using stack = new DisposableStack();
  const { path } = containerDirectory(engine.dataRoot, engine.runRoot, state.id);
  const process = openProcess(stack, state);
  passSignals(stack, process, signals, engine.warn);
  const stop = new AbortController();
  const end = waitForEnd(engine, record, undefined);
  const shown = showOutput(
    path,
    { tailLines: 0, until: end, signal: stop.signal },
    streams,
    (bytes) => engine.warn(`${bytes} bytes of output are missing here: the disk was full`),
  );
  noteEvent(engine, containerEvent(record, "attach"));
  const input = options.tty || (options.interactive && reads) ? takeInput(state.monitor as Pid, record) : undefined;
  let detached = new Promise<void>(() => {});
  if (input !== undefined && options.tty) {
    const onInterrupt = process === undefined
      ? undefined
      : makeInterruptHint(process, detachKeys.length > 0, engine.warn);
    const typing = typeInto(input, { interactive: reads && options.interactive, detachKeys, onInterrupt });
    stack.defer(() => close(input));
    stack.defer(() => typing.stop());
    detached = typing.detached;
  } else if (input !== undefined) stack.defer(copyStdin(openSink(input)));
  const first = await Promise.race([shown, detached.then(() => "detached" as const)]);
  if (first === "detached" || first === false) {
    stop.abort();
    await shown;
    if (first === "detached") noteEvent(engine, containerEvent(record, "detach"));
    return { kind: first === "detached" ? "detached" : "unread" };
  }
  const status = await end;
  return { kind: "ended", exitCode: status === undefined ? 0 : shownExitCode({ status }) };
}

function requireRunning(engine: Engine, record: ContainerRecord): ContainerState {
  const status = readStatus(engine, record, whereabouts());
  if (status.kind === "running") return status.state;
  // docker's words
  throw new DugoutError("CONTAINER_NOT_RUNNING", "You cannot attach to a stopped container, start it first", {
    exitCode: 1,
  });
}

/** The container's first process; undefined where it is gone. */
function openProcess(stack: DisposableStack, { pid }: ContainerState): Fd | undefined {
  const pidfd = tryCall("pidfd_open", pid, 0);
  return pidfd < 0 ? undefined : stack.adopt(pidfd as Fd, close);
}

function passSignals(
  stack: DisposableStack,
  process: Fd | undefined,
  signals: HeldSignals | undefined,
  tell: (line: string) => void,
): void {
  if (signals === undefined) return;
  stack.defer(() => signals.release());
  if (process !== undefined) signals.passTo(process, tell);
}

/** Copies the caller's stdin to a pipe that stays open when it ends: others may attach. @returns What stops it. */
function copyStdin(sink: ByteSink): () => void {
  const { stdin } = process;
  const copy = (chunk: Uint8Array) => {
    stdin.pause();
    void sink.write(chunk).then((isRead) => isRead ? stdin.resume() : stdin.removeListener("data", copy));
  };
  stdin.on("data", copy);
  return () => {
    stdin.removeListener("data", copy);
    stdin.pause();
    void sink.end();
  };
}
