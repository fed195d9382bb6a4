/**
 * A running container and the person in front of it: signals are passed on, a terminal is relayed.
 *
 * @module
 */
import { allocate, readLater } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { close, writeAll } from "#linux/file.ts";
import { SIGNALS } from "#linux/signals.ts";
import {
  rawSettings,
  readTerminal,
  readTerminalSize,
  type TerminalSettings,
  writeTerminal,
  writeTerminalSize,
} from "#linux/terminal.ts";
import { type Running, waitForEnd } from "#runtime/launch_container.ts";

/** How a container is followed. */
export interface ForegroundOptions {
  /** Whether the caller's stdin is copied to the container's terminal. */
  readonly interactive: boolean;
  /** Signals to pass on; undefined with `--sig-proxy=false`. */
  readonly signals: HeldSignals | undefined;
}

/** How long signals may have to wait to be passed on, for the sake of containers that are over in a moment. */
const QUICK_MS = 5;

/** Signals that are not passed on: they cannot be caught, or concern this process alone. */
const NOT_PASSED_ON = new Set([
  "SIGKILL",
  "SIGSTOP",
  "SIGCHLD",
  "SIGPIPE",
  "SIGURG",
  "SIGWINCH",
  "SIGSEGV",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGSYS",
  "SIGPROF",
  "SIGVTALRM",
  "SIGALRM",
  "SIGIO",
  "SIGSTKFLT",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGTTIN",
  "SIGTTOU",
]);

/**
 * Follows a container to its end.
 * @returns Its wait status (wait4(2)), or undefined when the monitor was killed. All that it wrote to a terminal has been
 * written to stdout by then.
 */
export async function followForeground(running: Running, options: ForegroundOptions): Promise<number | undefined> {
  if (running.pidfd !== undefined) options.signals?.passTo(running.pidfd);
  const terminal = running.terminal === undefined ? undefined : relayTerminal(running.terminal, options.interactive);
  try {
    const status = await running.wait(terminal === undefined ? QUICK_MS : 0);
    if (status === undefined && running.pidfd !== undefined) await waitForEnd(running.pidfd);
    await terminal?.drained;
    return status;
  } finally {
    terminal?.restore();
    options.signals?.release();
    if (running.terminal !== undefined) close(running.terminal);
    if (running.pidfd !== undefined) close(running.pidfd);
  }
}

/** Signals of this process that are a container's. */
export interface HeldSignals {
  /** Sends those that came, and from now on all, to the process behind a pidfd. */
  passTo(pidfd: Fd): void;
  /** Gives this process its signals back. */
  release(): void;
}

/**
 * Keeps signals for a container that is about to start: one that comes between its start and the first look at it would
 * end this process and leave the container.
 */
export function holdSignals(): HeldSignals {
  const handlers: [string, () => void][] = [];
  const held: number[] = [];
  let target: Fd | undefined;
  const send = (number: number) => {
    if (target === undefined) held.push(number);
    else tryCall("pidfd_send_signal", target, number, 0, 0);
  };
  for (const [name, number] of Object.entries(SIGNALS)) {
    const signal = `SIG${name}`;
    if (NOT_PASSED_ON.has(signal)) continue;
    const handler = () => send(number);
    try {
      process.on(signal as NodeJS.Signals, handler);
      handlers.push([signal, handler]);
    } catch {
      // the runtime keeps this one for itself
    }
  }
  return {
    passTo(pidfd) {
      target = pidfd;
      held.splice(0).forEach(send);
    },
    release() {
      handlers.forEach(([signal, handler]) => process.removeListener(signal, handler));
    },
  };
}

const [STDIN, STDOUT] = [0 as Fd, 1 as Fd];

/** Copies between the caller's terminal and the container's, raw. */
function relayTerminal(master: Fd, interactive: boolean): { drained: Promise<void>; restore: () => void } {
  const before = interactive ? readTerminal(STDIN) : undefined;
  const restore = restoreOnExit(before);
  if (before !== undefined) writeTerminal(STDIN, rawSettings(before));
  const resize = () => {
    const size = readTerminalSize(STDOUT) ?? readTerminalSize(STDIN);
    if (size !== undefined) writeTerminalSize(master, size);
  };
  process.on("SIGWINCH", resize);
  resize();
  const stopInput = interactive ? copyInput(master) : () => {};
  return {
    drained: copyOutput(master),
    restore: () => {
      process.removeListener("SIGWINCH", resize);
      stopInput();
      restore();
    },
  };
}

/** Gives the terminal its settings back, at the latest when this process exits. */
function restoreOnExit(settings: TerminalSettings | undefined): () => void {
  if (settings === undefined) return () => {};
  const restore = () => {
    process.removeListener("exit", restore);
    writeTerminal(STDIN, settings);
  };
  process.on("exit", restore);
  return restore;
}

const CHUNK_BYTES = 65536;

/** Resolves when the terminal's other side is closed by all: EIO, or its end. */
async function copyOutput(master: Fd): Promise<void> {
  const buffer = allocate(CHUNK_BYTES);
  for (;;) {
    const count = await readLater(master, buffer);
    if (count <= 0) return;
    try {
      writeAll(STDOUT, buffer.subarray(0, count));
    } catch {
      // nobody reads: the container's own affair is not ended by it
    }
  }
}

/**
 * Copies what is typed, until it ends or is told to stop. By the runtime's own stream, which waits for events: a read that
 * blocks holds one of the runtime's threads, and Bun has two of them where there are two processors. The terminal's output
 * and the monitor's report take both.
 */
function copyInput(master: Fd): () => void {
  const { stdin } = process;
  const copy = (chunk: Uint8Array) => {
    try {
      writeAll(master, chunk);
    } catch {
      stop();
    }
  };
  const stop = () => {
    stdin.removeListener("data", copy);
    stdin.pause();
  };
  stdin.on("data", copy);
  return stop;
}
