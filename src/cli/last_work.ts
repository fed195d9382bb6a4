import { readFileSync } from "node:fs";
import { decodeLastWork, doLastWork } from "#engine/life/last_work.ts";

/** The binary as what the monitor of a container with `--rm` becomes: the work on stdin. @returns The exit code. */
export async function runLastWork(): Promise<number> {
  await doLastWork(decodeLastWork(readFileSync(0)));
  return 0;
}
