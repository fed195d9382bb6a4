import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Sandbox } from "./sandbox.ts";

/** Waits until `look` gives what is wanted. */
export async function eventually<T>(look: () => Promise<T>, wanted: (found: T) => boolean, what: string): Promise<T> {
  const stopMs = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (wanted(found)) return found;
    assert.ok(Date.now() < stopMs, `${what}: at last it was ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Processes of the keepers of a sandbox's stores, whether they sleep or are awake: they hold a lock. */
export async function keepers(box: Sandbox): Promise<number[]> {
  const locks = [box.store, join(box.home, "other")].map((store) =>
    `*/keeper/${createHash("sha256").update(store).digest("hex").slice(0, 16)}/lock`
  ).join("|");
  const script = `for d in /proc/[0-9]*; do
    if [ "$(stat -c %u $d 2>/dev/null)" = "$(id -u)" ]; then
      if tr '\\0' ' ' <$d/cmdline 2>/dev/null | grep -q '^dugout-keeper\\|__keeper'; then
        for f in $d/fd/*; do case $(readlink "$f") in ${locks}) echo "\${d#/proc/}";; esac; done
      fi
    fi
  done; :`;
  const { stdout } = await box.run(["sh", "-c", script]);
  return [...new Set(stdout.split("\n").filter((line) => line !== "").map(Number))];
}

/** Waits until none is left: a sandbox must be empty at its end. */
export const noKeeper = (box: Sandbox): Promise<number[]> =>
  eventually(() => keepers(box), (pids) => pids.length === 0, "keepers");
