import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { IN_CLOSE_WRITE, IN_CREATE, openWatches } from "./inotify.ts";

test("a watch tells of what is made in a directory, by name", async () => {
  const directory = mkdtempSync(join(tmpdir(), "inotify-"));
  try {
    using watches = openWatches();
    assert.ok(watches !== undefined);
    const watch = watches.add(directory, IN_CREATE | IN_CLOSE_WRITE);
    assert.ok(watch > 0);
    assert.equal(watches.add(join(directory, "none"), IN_CREATE), -2);
    writeFileSync(join(directory, "a name"), "x");
    const changes = await watches.next();
    assert.deepEqual(changes[0], { watch, mask: IN_CREATE, name: "a name" });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
