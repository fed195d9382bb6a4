/**
 * The time that a caller stays with a container whose output is kept: it is shown what comes, may type, its signals are the
 * container's, and it may leave.
 *
 * @module
 */
import { close } from "#linux/file.ts";
import { type Fd, type Pid } from "#linux/call.ts";
import { takeDescriptor } from "#linux/pidfd.ts";
import { exitCodeOf, lostMonitorError } from "#runtime/launch_container.ts";
import { INPUT_FD } from "#runtime/monitor_fds.ts";
import type { ContainerDirectory } from "../record/container_directory.ts";
import { readRecord } from "../record/container_record.ts";
import { readStatus } from "../record/containers.ts";
import type { Engine } from "../engine.ts";
import { SWEEP_AFTER_MS, sweepQuietly } from "../streams/follow_run.ts";
import { readWaitStatus } from "../record/wait_status.ts";
import { followForeground, type HeldSignals } from "../streams/foreground.ts";
import { closeLogFiles } from "../log/log_files.ts";
import { removeLeftOver } from "./remove_container.ts";
import { makeInterruptHint } from "../streams/interrupt_hint.ts";
import { typeInto } from "../streams/relay_terminal.ts";
import { type ShownStreams, showOutput } from "../streams/show_output.ts";
import type { StartedKept } from "./start_container.ts";
import { whereabouts } from "../record/whereabouts.ts";

/** How a caller stays with a container. */
export interface StayOptions {
  readonly streams: ShownStreams;
  /** The container's terminal: whether what is typed is passed on, and which keys leave it; undefined: it has none. */
  readonly terminal: { readonly interactive: boolean; readonly detachKeys: readonly number[] } | undefined;
  /** To pass on; undefined with `--sig-proxy=false`. */
  readonly signals: HeldSignals | undefined;
}

/** Why it was over. */
export type StayEnd =
  | { readonly kind: "ended"; readonly exitCode: number }
  /** The detach keys were typed; the container runs on. */
  | { readonly kind: "detached" }
  /** Nobody reads what is shown; the container runs on. */
  | { readonly kind: "unread" };

/**
 * Stays with a container that was just started.
 * @throws {DugoutError} MONITOR_LOST.
 */
export async function stayWithContainer(
  engine: Engine,
  directory: ContainerDirectory,
  { running, log, fromByte }: StartedKept,
  { streams, terminal, signals }: StayOptions,
): Promise<StayEnd> {
  const sweep = setTimeout(() => void sweepQuietly(() => engine), SWEEP_AFTER_MS);
  using stack = new DisposableStack();
  stack.defer(() => clearTimeout(sweep));
  let typing: ReturnType<typeof typeInto> | undefined;
  if (terminal !== undefined) {
    const master = stack.adopt(takeInput(running.monitor, directory), (fd) => fd !== undefined && close(fd));
    if (master !== undefined) {
      const { pidfd } = running;
      const detaches = terminal.detachKeys.length > 0;
      const onInterrupt = pidfd === undefined ? undefined : makeInterruptHint(pidfd, detaches, engine.warn);
      typing = typeInto(master, { ...terminal, onInterrupt });
      stack.defer(() => typing?.stop());
    }
  }
  const stop = new AbortController();
  const end = followForeground(running, signals, { quickMs: 0, tell: engine.warn });
  const shown = showOutput(
    directory.path,
    { opened: log, fromByte, until: end, signal: stop.signal },
    streams,
    (bytes) => engine.warn(`${bytes} bytes of output are missing here: the disk was full`),
  );
  const first = await Promise.race([
    shown,
    ...(typing === undefined ? [] : [typing.detached.then(() => "detached" as const)]),
  ]);
  if (first === "detached" || first === false) {
    stop.abort();
    await shown;
    signals?.release();
    return { kind: first === "detached" ? "detached" : "unread" };
  }
  const status = await end ?? readWaitStatus(directory.state);
  // whoever sees the end writes it down
  const record = readRecord(engine.dataRoot, directory.id);
  if (record !== undefined) readStatus(engine, record, whereabouts());
  // of one whose monitor was lost nobody else will say that it has ended
  if (record?.rm) await removeLeftOver(engine, directory.id, status === undefined);
  if (status === undefined) throw lostMonitorError("while it ran");
  return { kind: "ended", exitCode: exitCodeOf(status) };
}

/**
 * The monitor's descriptor of what goes into the container, its terminal where it has one; undefined where it has none, or
 * is about to end.
 */
export function takeInput(monitor: Pid, { id }: { readonly id: string }): Fd | undefined {
  try {
    return takeDescriptor(monitor, INPUT_FD, `container ${id.slice(0, 12)}`);
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ESRCH" || code === "EBADF") return undefined;
    throw error;
  }
}

/** Leaves a container that was just started: nobody waits for it. */
export async function leaveContainer(engine: Engine, { id }: ContainerDirectory, started: StartedKept): Promise<void> {
  const { running, log } = started;
  const isOver = running.isOver();
  running.leave();
  closeLogFiles([log]);
  // its monitor may have ended before it was told what to do then
  if (isOver) await removeLeftOver(engine, id);
}
