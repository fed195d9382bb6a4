import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { applySettings } from "./group.ts";
import { readGroupUsage } from "./group_usage.ts";
import { commonGroup } from "./join_group.ts";

function withGroup(files: Readonly<Record<string, string>>, work: (group: string) => void): void {
  const group = mkdtempSync(join(tmpdir(), "dugout-group-"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(group, name), text);
    work(group);
  } finally {
    rmSync(group, { recursive: true });
  }
}

test("usage is docker's: without what of the page cache goes first, over all devices", () => {
  withGroup({
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "memory.current": "1000000\n",
    "memory.stat": "anon 1\ninactive_file 400000\n",
    "memory.max": "67108864\n",
    "pids.current": "7\n",
    "cpu.pressure": "some avg10=12.50 avg60=0.00 avg300=0.00 total=5\n",
    "io.stat": "8:0 rbytes=10 wbytes=1 rios=1\n8:16 rbytes=5 wbytes=2\n",
  }, (group) =>
    assert.deepEqual(readGroupUsage(group), {
      spentMicroseconds: 1_500_000,
      memoryBytes: 600_000,
      memoryLimitBytes: 67_108_864,
      tasks: 7,
      readBytes: 15,
      writtenBytes: 3,
      pressure: { cpu: 12.5, memory: undefined, io: undefined },
    }));
});

test("what has no controller is not known, and max is no limit", () => {
  withGroup({ "memory.current": "5\n", "memory.max": "max\n" }, (group) => {
    const { tasks, readBytes, memoryLimitBytes, spentMicroseconds } = readGroupUsage(group);
    assert.deepEqual([tasks, readBytes, memoryLimitBytes, spentMicroseconds], [
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

test("C-064 a limit that the kernel refuses is an error with its reason, or passed over where that was said", () => {
  withGroup({}, (group) => {
    const setting = { controller: "memory", file: "memory.swap.max", value: "0", what: "swap" };
    assert.throws(
      () => applySettings(group, [setting], undefined),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, "LIMIT_REFUSED");
        assert.match(error.hint ?? "", /does not account for swap/);
        return /Cannot limit swap: writing 0 to memory\.swap\.max: ENOENT/.test(error.message);
      },
    );
    const passed: string[] = [];
    applySettings(group, [setting], (message) => passed.push(message));
    assert.match(passed.join(), /Cannot limit swap/);
    applySettings(group, [{ ...setting, isImplied: true }], undefined);
  });
});

test("the group above two is what their paths have in common", () => {
  assert.equal(commonGroup("/a/b/c", "/a/b/d/e"), "/a/b");
  assert.equal(commonGroup("/a/b", "/a/b/c"), "/a/b");
  assert.equal(commonGroup("/a/b", "/c"), "");
});
