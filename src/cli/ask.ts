import { readSync } from "node:fs";
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

/** Reads one line of standard input, byte by byte, so that what stands behind it stays for others. @returns undefined at its end. */
export function readLine(): string | undefined {
  const bytes: number[] = [];
  const one = new Uint8Array(1);
  while (bytes.length < MAX_LINE) {
    if (readByte(one) === 0) return bytes.length === 0 ? undefined : decode(bytes);
    if (one[0] === 0x0a) return decode(bytes);
    bytes.push(one[0] ?? 0);
  }
  return decode(bytes);
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
