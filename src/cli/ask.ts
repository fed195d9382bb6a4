import { read, readSync } from "node:fs";
import type { Fd } from "#linux/call.ts";
import { rawSettings, readTerminal, writeTerminal } from "#linux/terminal.ts";
import { printOut } from "./output.ts";

/** Most that one answer may be long, in bytes. */
const MAX_LINE = 4096;

/** Asks a question that `y` or `yes` answers; the end of the input, as in a script, is a no. */
export function askYesNo(question: string): boolean {
  printOut(`${question} [y/N] `);
  const answer = readLine();
  if (answer === undefined) printOut("\n");
  return /^(y|yes)$/i.test((answer ?? "").trim());
}

/**
 * Reads one line of standard input, byte by byte, so that what stands behind it stays for others.
 * @param most Bytes after which it is cut.
 * @returns undefined at the end of the input.
 */
export function readLine(most = MAX_LINE): string | undefined {
  const bytes: number[] = [];
  const one = new Uint8Array(1);
  while (bytes.length < most) {
    if (readByte(one) === 0) return bytes.length === 0 ? undefined : decode(bytes);
    if (one[0] === 0x0a) return decode(bytes);
    bytes.push(one[0] ?? 0);
  }
  return decode(bytes);
}

/**
 * Reads a line that the terminal does not show, raw: Ctrl-C ends the program, and whatever ends it, the terminal gets its settings
 * back before.
 * @returns undefined at the end of the input (Ctrl-D on an empty line).
 */
export async function readSecret(prompt: string): Promise<string | undefined> {
  const before = readTerminal(0 as Fd);
  if (before === undefined) return readLine();
  const leave = (exitCode: number): never => {
    writeTerminal(0 as Fd, before);
    printOut("\n");
    process.exit(exitCode);
  };
  const handlers = [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const;
  const listeners = handlers.map(([signal, code]) => [signal, () => leave(code)] as const);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  printOut(prompt);
  writeTerminal(0 as Fd, rawSettings(before));
  try {
    const bytes: number[] = [];
    for (;;) {
      for (const byte of await readTyped()) {
        if (byte === CTRL_C) leave(130);
        else if (byte === CTRL_D && bytes.length === 0) return undefined;
        else if (byte === 0x0d || byte === 0x0a) return decode(bytes);
        else if (byte === 0x7f || byte === 0x08) bytes.pop();
        else if (bytes.length < MAX_LINE) bytes.push(byte);
      }
    }
  } finally {
    writeTerminal(0 as Fd, before);
    for (const [signal, listener] of listeners) process.removeListener(signal, listener);
    printOut("\n");
  }
}

const CTRL_C = 3;
const CTRL_D = 4;

/** What is typed next; Ctrl-D at the end of the input. */
function readTyped(): Promise<Uint8Array> {
  const buffer = new Uint8Array(256);
  return new Promise((resolve, reject) => {
    read(0, buffer, 0, buffer.length, null, (error, count) => {
      if (error !== null) reject(error);
      else resolve(count === 0 ? Uint8Array.of(CTRL_D) : buffer.subarray(0, count));
    });
  });
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

function readByte(into: Uint8Array): number {
  for (;;) {
    try {
      return readSync(0, into);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === "EOF") return 0;
      // a terminal that some other program left non-blocking: wait a moment, there is nothing else to do
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      else if (code !== "EINTR") throw error;
    }
  }
}
