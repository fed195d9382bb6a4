import { writeAll } from "./output.ts";
import type { ProgressScreen } from "./progress.ts";

/** The terminal, or what else a descriptor leads to, for progress. */
export function openScreen(fd: 1 | 2): ProgressScreen {
  const stream = fd === 1 ? process.stdout : process.stderr;
  return {
    isTerminal: stream.isTTY === true,
    columns: stream.columns ?? 80,
    rows: stream.rows ?? 24,
    write: (text) => writeAll(fd, text),
    nowMs: () => performance.now(),
  };
}
