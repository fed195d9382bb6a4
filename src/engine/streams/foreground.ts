/**
 * A running container and the person in front of it: signals are passed on.
 *
 * @module
 */
import { type Fd, tryCall } from "#linux/call.ts";
import { close } from "#linux/file.ts";
import { SIGNALS } from "#linux/signals.ts";
import { type Running, waitForEnd } from "#runtime/launch_container.ts";

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

/** How a container is followed. */
export interface FollowOptions {
  /** How long nothing else is done. */
  readonly quickMs?: number;
  /** What is done, once, when the container is not over by then. */
  readonly whenItStays?: (() => void) | undefined;
  /** Gets a line when Ctrl-C does not reach the program. */
  readonly tell?: ((line: string) => void) | undefined;
}

/**
 * Follows a container to its end.
 * @param signals To pass on; undefined with `--sig-proxy=false`.
 * @returns Its wait status (wait4(2)), or undefined when the monitor was killed.
 */
export async function followForeground(
  running: Running,
  signals: HeldSignals | undefined,
  { quickMs = QUICK_MS, whenItStays, tell }: FollowOptions = {},
): Promise<number | undefined> {
  if (running.pidfd !== undefined) signals?.passTo(running.pidfd, tell);
  try {
    const status = await running.wait(quickMs, whenItStays);
    if (status === undefined && running.pidfd !== undefined) await waitForEnd(running.pidfd);
    return status;
  } finally {
    signals?.release();
    if (running.pidfd !== undefined) close(running.pidfd);
  }
}

/** Signals of this process that are a container's. */
export interface HeldSignals {
  /**
   * Sends those that came, and from now on all, to the process behind a pidfd.
   * @param tell Gets a line when Ctrl-C does not reach the program.
   */
  passTo(pidfd: Fd, tell?: (line: string) => void): void;
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
  let noteInterrupt: Promise<() => void> | undefined;
  let tellOf: ((line: string) => void) | undefined;
  const send = (number: number) => {
    if (target === undefined) return void held.push(number);
    tryCall("pidfd_send_signal", target, number, 0, 0);
    if (number === SIGNALS.INT && tellOf !== undefined) {
      noteInterrupt ??= loadHint(target, tellOf);
      void noteInterrupt.then((note) => note());
    }
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
    passTo(pidfd, tell) {
      target = pidfd;
      tellOf = tell;
      held.splice(0).forEach(send);
    },
    release() {
      handlers.forEach(([signal, handler]) => process.removeListener(signal, handler));
    },
  };
}

/** Most containers end without a Ctrl-C. */
async function loadHint(target: Fd, tell: (line: string) => void): Promise<() => void> {
  return (await import("./interrupt_hint.ts")).makeInterruptHint(target, false, tell);
}
