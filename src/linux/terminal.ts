/**
 * Terminals of this process: is it one, its size, raw mode. By ioctl(2), since the runtimes' own tty streams would
 * start to read.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { call, type Fd, tryCall } from "./call.ts";
import { TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ } from "./ioctl.ts";

/** The kernel's `struct termios`: four u32 of flags, the line discipline, 19 control characters. */
const TERMIOS = { input: 0, output: 4, control: 8, local: 12, characters: 17, SIZE: 36 } as const;
const VTIME = 5;
const VMIN = 6;

// asm-generic/termbits.h, the flags that cfmakeraw(3) clears
const RAW_INPUT = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
const RAW_OUTPUT = 0o1;
const RAW_LOCAL = 0o10 | 0o100 | 0o2 | 0o1 | 0o100000;
const CSIZE_PARENB = 0o60 | 0o400;
const CS8 = 0o60;

/** The settings of a terminal, to be given back later. */
export type TerminalSettings = Uint8Array;

/** The settings of the terminal behind a descriptor, or undefined where there is none. */
export function readTerminal(fd: Fd): TerminalSettings | undefined {
  const settings = allocate(64);
  return tryCall("ioctl", fd, TCGETS, addressOf(settings)) < 0 ? undefined : settings.subarray(0, TERMIOS.SIZE);
}

/** Whether a descriptor is a terminal. */
export function isTerminal(fd: Fd): boolean {
  return readTerminal(fd) !== undefined;
}

/** Gives a terminal its settings, at once. */
export function writeTerminal(fd: Fd, settings: TerminalSettings): void {
  const bytes = allocate(64);
  bytes.set(settings);
  call("ioctl", `terminal ${fd}`, fd, TCSETS, addressOf(bytes));
}

/** The same settings, but raw: every byte is passed on, none means anything here (cfmakeraw(3)). */
export function rawSettings(settings: TerminalSettings): TerminalSettings {
  const raw = allocate(TERMIOS.SIZE);
  raw.set(settings);
  const view = new DataView(raw.buffer);
  const clear = (offset: number, flags: number) => view.setUint32(offset, view.getUint32(offset, true) & ~flags, true);
  clear(TERMIOS.input, RAW_INPUT);
  clear(TERMIOS.output, RAW_OUTPUT);
  clear(TERMIOS.local, RAW_LOCAL);
  view.setUint32(TERMIOS.control, (view.getUint32(TERMIOS.control, true) & ~CSIZE_PARENB) | CS8, true);
  raw[TERMIOS.characters + VMIN] = 1;
  raw[TERMIOS.characters + VTIME] = 0;
  return raw;
}

/** Rows and columns. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** The size of the terminal behind a descriptor, or undefined where there is none. */
export function readTerminalSize(fd: Fd): TerminalSize | undefined {
  const size = allocate(8);
  if (tryCall("ioctl", fd, TIOCGWINSZ, addressOf(size)) < 0) return undefined;
  const view = new DataView(size.buffer);
  return { rows: view.getUint16(0, true), columns: view.getUint16(2, true) };
}

/** Tells a terminal its size; its foreground processes get SIGWINCH. */
export function writeTerminalSize(fd: Fd, { rows, columns }: TerminalSize): void {
  const size = allocate(8);
  const view = new DataView(size.buffer);
  view.setUint16(0, rows, true);
  view.setUint16(2, columns, true);
  tryCall("ioctl", fd, TIOCSWINSZ, addressOf(size));
}
