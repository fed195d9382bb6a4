import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOrFail } from "./measure.ts";

/** Where bench/run.sh put things: see tests/setup/README.md. */
export const DUGOUT = process.env["DUGOUT_TEST_BINARY"] ?? join(import.meta.dirname ?? "", "../../dist/dugout");
export const REGISTRY = process.env["DUGOUT_TEST_REGISTRY"] ?? "127.0.0.1:5000";
export const CACHE = process.env["DUGOUT_TEST_CACHE"] ?? "/var/cache/dugout-tests";

/** Gives `work` a directory, on the disk that was made for it if one was, and removes it, whoever owns what is in it. */
export async function withDirectory(work: (path: string) => void | Promise<void>): Promise<void> {
  const path = mkdtempSync(join(process.env["BENCH_DISK"] ?? process.env["HOME"] ?? tmpdir(), "bench-"));
  try {
    await work(path);
  } finally {
    runOrFail(removal(path));
  }
}

/** How a tree is removed whose files may belong to subordinate ids. */
export function removal(...paths: string[]): string[] {
  return ["podman", "unshare", "rm", "-rf", ...paths];
}

/** The busybox image as a plain directory, for peers that know no images. */
export function unpackBusybox(path: string): void {
  mkdirSync(path, { recursive: true });
  runOrFail(["tar", "-C", path, "-xf", join(CACHE, "tars/busybox-amd64-1.tar")]);
}
