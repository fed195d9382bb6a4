/** What is on disk before it is visible: the order of calls, as strace sees it. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeSimImage } from "./sim_image.ts";

const skip = spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0
  ? false
  : "strace is not installed, or may not trace";
const CHILD = join(import.meta.dirname!, "store_child.ts");

test("C-048 blobs are flushed before they get their digests, names after all blobs, and directories after renames", {
  skip,
}, () => {
  const dir = mkdtempSync(join(tmpdir(), "dugout-flush-"));
  try {
    const log = join(dir, "log");
    const run = process.versions["deno"] === undefined ? [CHILD] : ["run", "-A", CHILD];
    const calls = "trace=fsync,fdatasync,rename,renameat,renameat2";
    const { status, stderr } = spawnSync(
      "strace",
      ["-f", "-y", "-s", "4096", "-e", calls, "-o", log, process.execPath, ...run, join(dir, "root"), "1", "pull"],
      { encoding: "utf8" },
    );
    assert.equal(status, 0, stderr);
    // without those that end later than they begin: each call here is waited for before the next
    const events: string[] = [];
    for (const line of readFileSync(log, "utf8").split("\n")) {
      const flushed = /\bf(?:data)?sync\(\d+<([^>]+)>/.exec(line)?.[1];
      const renamed = /\brename(?:at2?)?\((?:AT_FDCWD(?:<[^>]*>)?, )?"([^"]+)", (?:AT_FDCWD(?:<[^>]*>)?, )?"([^"]+)"/
        .exec(line);
      if (flushed !== undefined) events.push(`flush ${flushed}`);
      if (renamed !== null) {
        assert.ok(events.includes(`flush ${renamed[1]}`), `${renamed[1]} was flushed before it was renamed`);
        events.push(`rename ${renamed[2]}`);
      }
    }
    const places = (part: string) =>
      events.flatMap((event, at) => event.startsWith("rename ") && event.includes(part) ? [at] : []);
    const blobs = places("/blobs/sha256/");
    const names = places("/names/");
    assert.equal(blobs.length, makeSimImage().layers.length + 2);
    assert.equal(names.length, 2);
    assert.ok(Math.max(...blobs) < Math.min(...names));
    for (const at of [...blobs, ...names]) {
      const folder = events[at]!.slice("rename ".length).replace(/\/[^/]+$/, "");
      assert.ok(events.indexOf(`flush ${folder}`, at) > at, `${folder} is flushed after the rename in it`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
