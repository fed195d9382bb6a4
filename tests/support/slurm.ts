import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { CommandOptions, Result } from "./command.ts";
import type { Sandbox } from "./sandbox.ts";

/** Where the scripts are that start a cluster of two nodes on this machine. */
const SCRIPTS = process.env["DUGOUT_TEST_SLURM"] ?? join(import.meta.dirname ?? "", "../../../shared/slurm");

/** @returns Why tests of Slurm cannot run here; false where they can. */
export function needsSlurm(): string | false {
  if (process.getuid?.() !== 0) return "needs root, to start a cluster";
  return existsSync(join(SCRIPTS, "slurm-up")) ? false : "needs the scripts of a Slurm cluster (DUGOUT_TEST_SLURM)";
}

/** A cluster that is up. */
export type Cluster = {
  /** Its directory, for logs. */
  readonly directory: string;
  /** Runs a program of Slurm's as the sandbox's user, as on a login node without a session's directory. */
  run(box: Sandbox, argv: readonly string[], options?: CommandOptions): Promise<Result>;
};

/** Starts a cluster, gives it to `work`, and ends it. @param settings For `slurm-up`. */
export async function withCluster(
  settings: Record<string, string>,
  work: (cluster: Cluster) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync("/var/tmp/dugout-slurm-");
  chmodSync(directory, 0o755);
  const port = 20_000 + Math.floor(Math.random() * 8_000);
  const env = { PATH: process.env["PATH"] ?? "", SLURM_PORT: String(port), ...settings };
  const call = (script: string) => execFileSync(join(SCRIPTS, script), [directory], { env, encoding: "utf8" });
  const configuration = /SLURM_CONF=(\S+)/.exec(call("slurm-up"))![1]!;
  try {
    await work({
      directory,
      run: (box, argv, options = {}) =>
        box.run(["/usr/bin/env", "-u", "XDG_RUNTIME_DIR", ...argv], {
          timeoutMs: 90_000,
          ...options,
          env: { SLURM_CONF: configuration, ...options.env },
        }),
    });
  } finally {
    call("slurm-down");
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits until something holds. @throws {Error} When it does not within 30 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!await holds()) {
    if (Date.now() > end) throw new Error(`Waited for 30 s in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
