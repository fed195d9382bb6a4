import { favourThroughput } from "#ffi/mod.ts";
import { serveWorker } from "#storage/worker.ts";
import { writeAll } from "./output.ts";

/** The binary as a worker inside the user namespace: a plan on stdin, lines of JSON on stdout. @returns The exit code. */
export function runWorker(): Promise<number> {
  favourThroughput();
  return serveWorker(process.stdin, (line) => writeAll(1, line), () => performance.now());
}
