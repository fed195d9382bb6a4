/**
 * Between the caller's terminal and a container's: what is typed, how large it is, what comes back.
 *
 * @module
 */
import { allocate, readLater } from "#ffi/mod.ts";
import type { Fd } from "#linux/call.ts";
import { writeAll } from "#linux/file.ts";
import {
  rawSettings,
  readTerminal,
  readTerminalSize,
  type TerminalSettings,
  writeTerminal,
  writeTerminalSize,
} from "#linux/terminal.ts";
import { makeDetachScanner } from "./detach_scanner.ts";

const [STDIN, STDOUT] = [0 as Fd, 1 as Fd];
const CHUNK_BYTES = 65536;

/** How what is typed is taken. */
export interface TypingOptions {
  /** Whether the caller's stdin is copied; it is raw meanwhile. Without, only the size is told. */
  readonly interactive: boolean;
  /** The bytes that detach; none: nothing does. */
  readonly detachKeys: readonly number[];
  /** Called when Ctrl-C was typed. */
  readonly onInterrupt?: (() => void) | undefined;
}

/** What Ctrl-C gives. */
const ETX = 3;

/** A terminal that is typed into. */
export interface Typing {
  /** Resolves when the detach keys were typed; else never. */
  readonly detached: Promise<void>;
  /** Ends it and gives the caller's terminal its settings back. */
  stop(): void;
}

/** Takes what is typed to the terminal behind `master`, and tells it the caller's size, now and when it changes. */
export function typeInto(master: Fd, { interactive, detachKeys, onInterrupt }: TypingOptions): Typing {
  const before = interactive ? readTerminal(STDIN) : undefined;
  const restore = restoreOnExit(before);
  if (before !== undefined) writeTerminal(STDIN, rawSettings(before));
  const resize = () => {
    const size = readTerminalSize(STDOUT) ?? readTerminalSize(STDIN);
    if (size !== undefined) writeTerminalSize(master, size);
  };
  process.on("SIGWINCH", resize);
  resize();
  let stopInput = () => {};
  const detached = new Promise<void>((resolve) => {
    if (interactive) stopInput = copyInput(master, detachKeys, resolve, onInterrupt);
  });
  return {
    detached,
    stop() {
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

/**
 * Copies what a terminal shows to stdout.
 * @returns `ended` when its other side is closed by all: EIO, or its end; `unread` when nobody reads stdout any more.
 */
export async function showTerminal(master: Fd): Promise<"ended" | "unread"> {
  const buffer = allocate(CHUNK_BYTES);
  for (;;) {
    const count = await readLater(master, buffer);
    if (count <= 0) return "ended";
    try {
      writeAll(STDOUT, buffer.subarray(0, count));
    } catch (error) {
      if ((error as { code?: string }).code === "EPIPE") return "unread";
      // a full disk, or a terminal that has gone: the program's own affair is not ended by it
    }
  }
}

/**
 * Copies what is typed, until it ends or is told to stop. By the runtime's own stream, which waits for events: a read that
 * blocks holds one of the runtime's threads, and Bun has two of them where there are two processors. The terminal's output
 * and the monitor's report take both.
 */
function copyInput(
  master: Fd,
  detachKeys: readonly number[],
  detach: () => void,
  onInterrupt: (() => void) | undefined,
): () => void {
  const { stdin } = process;
  const scan = makeDetachScanner(detachKeys);
  const copy = (chunk: Uint8Array) => {
    const { pass, detached } = scan(chunk);
    try {
      writeAll(master, pass);
      // typed, and not pasted
      if (chunk.length === 1 && chunk[0] === ETX) onInterrupt?.();
    } catch {
      stop();
    }
    if (!detached) return;
    stop();
    detach();
  };
  const stop = () => {
    stdin.removeListener("data", copy);
    stdin.pause();
  };
  stdin.on("data", copy);
  return stop;
}
