/** Help for tests: the command line in a process of its own, with its output as text. */

import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Outcome {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** The entry point. */
export const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url).href);

export interface RunOptions {
  env?: Record<string, string>;
  input?: string | Uint8Array;
}

const runtimeArguments = process.versions["deno"] === undefined ? [] : ["run", "-A", "--no-lock"];

/** Nothing of the caller's but what programs and runtimes need. */
function planEnvironment(given: Record<string, string> | undefined): Record<string, string> {
  const kept = ["PATH", "HOME", "DENO_DIR", "TMPDIR"].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), NO_COLOR: "1", ...given };
}

/** Runs `dugout ARGS` under the runtime that runs the test. */
export function runDugout(args: readonly string[], options: RunOptions = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...runtimeArguments, MAIN, ...args], {
    env: planEnvironment(options.env),
    input: options.input ?? "",
    maxBuffer: 64 * 1024 * 1024,
  });
  return { exitCode: status, stdout: stdout.toString("utf8"), stderr: stderr.toString("utf8") };
}

/** The same without standing still: for tests that answer it meanwhile, as a registry. */
export function startDugout(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [...runtimeArguments, MAIN, ...args], { env: planEnvironment(options.env) });
  const [stdout, stderr]: [Uint8Array[], Uint8Array[]] = [[], []];
  child.stdout.on("data", (piece: Uint8Array) => void stdout.push(piece));
  child.stderr.on("data", (piece: Uint8Array) => void stderr.push(piece));
  child.stdin.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => {
      const text = (pieces: Uint8Array[]): string => Buffer.concat(pieces).toString("utf8");
      resolve({ exitCode, stdout: text(stdout), stderr: text(stderr) });
    });
  });
}
