/** The store on a file system that is full, in a user namespace of its own. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"] as const;
const [unshare, ...FLAGS] = UNSHARE;
const skip = spawnSync(unshare, [...FLAGS, "true"]).status === 0 ? false : "user namespaces are not allowed here";
const CHILD = join(import.meta.dirname!, "full_disk_child.ts");

test(
  "C-045 C-051 C-052 a full disk is said with its name and numbers, what frees space works, and TMPDIR is not used",
  { skip },
  () => {
    const dir = mkdtempSync(join(tmpdir(), "dugout-full-"));
    try {
      const args = process.versions["deno"] === undefined ? [CHILD] : ["run", "-A", CHILD];
      const script = 'mount -t tmpfs -o size=4m,mode=700 tmpfs "$1" && shift && exec "$@"';
      const { status, stdout, stderr } = spawnSync(unshare, [
        ...FLAGS,
        "sh",
        "-c",
        script,
        "sh",
        dir,
        process.execPath,
        ...args,
        dir,
      ], {
        encoding: "utf8",
        env: { ...process.env, TMPDIR: "/nonexistent" },
      });
      assert.equal(status, 0, stderr);
      assert.equal(stdout, "done\n");
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
