/** Help for tests: the command line in a process of its own, with its output as text. */

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Outcome {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

const main = fileURLToPath(new URL("./main.ts", import.meta.url).href);

/** Runs `dugout ARGS` under the runtime that runs the test. The environment is empty but for PATH and what is given. */
export function runDugout(
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string | Uint8Array } = {},
): Outcome {
  const runtime = process.versions["deno"] === undefined ? [] : ["run", "-A", "--no-lock"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...runtime, main, ...args], {
    env: { PATH: process.env["PATH"] ?? "", NO_COLOR: "1", ...options.env },
    input: options.input ?? "",
    maxBuffer: 64 * 1024 * 1024,
  });
  return { exitCode: status, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") };
}
