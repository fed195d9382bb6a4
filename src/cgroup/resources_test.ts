import assert from "node:assert/strict";
import test from "node:test";
import type { ResourcesSpec } from "#oci/runtime_spec.ts";
import { planSettings, weightOfBlocks, weightOfShares } from "./resources.ts";

function written(resources: ResourcesSpec): Record<string, string> {
  return Object.fromEntries(planSettings(resources).map(({ file, value }) => [file, value]));
}

test("memory and swap are two limits, of which the specification adds the second to the first", () => {
  const mebibyte = 1 << 20;
  assert.deepEqual(written({ memory: { limit: 64 * mebibyte, swap: 96 * mebibyte, reservation: 32 * mebibyte } }), {
    "memory.max": String(64 * mebibyte),
    "memory.swap.max": String(32 * mebibyte),
    "memory.high": String(32 * mebibyte),
  });
  assert.deepEqual(written({ memory: { limit: -1, swap: -1 } }), { "memory.max": "max", "memory.swap.max": "max" });
  assert.deepEqual(written({ memory: { limit: 10, swap: 10 } }), { "memory.max": "10", "memory.swap.max": "0" });
  for (const memory of [{ swap: 5 }, { limit: 10, swap: 5 }, { swappiness: 10 }, { disableOOMKiller: true }]) {
    assert.throws(() => planSettings({ memory }), RangeError);
  }
});

test("processor time is a quota in a period, and a weight", () => {
  assert.deepEqual(written({ cpu: { quota: 50_000 } }), { "cpu.max": "50000 100000" });
  assert.deepEqual(written({ cpu: { quota: -1, period: 20_000 } }), { "cpu.max": "max 20000" });
  assert.deepEqual(written({ cpu: { shares: 1024, cpus: "0-1", mems: "0" } }), {
    "cpu.weight": "39",
    "cpuset.cpus": "0-1",
    "cpuset.mems": "0",
  });
  assert.deepEqual([2, 1024, 262_144, 0, 999_999].map(weightOfShares), [1, 39, 10_000, 1, 10_000]);
});

test("processes, disks and huge pages", () => {
  assert.deepEqual(written({ pids: { limit: 32 } }), { "pids.max": "32" });
  assert.deepEqual(written({ pids: { limit: -1 } }), { "pids.max": "max" });
  assert.deepEqual(
    planSettings({
      blockIO: {
        weight: 500,
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 << 20 }],
        throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 100 }],
      },
    }).map(({ controller, file, value }) => `${controller} ${file} ${value}`),
    ["io io.weight default 4950", "io io.max 8:0 rbps=1048576", "io io.max 8:16 wiops=100"],
  );
  assert.deepEqual([10, 500, 1000].map(weightOfBlocks), [1, 4950, 10_000]);
  assert.deepEqual(written({ hugepageLimits: [{ pageSize: "2MB", limit: 0 }] }), { "hugetlb.2MB.max": "0" });
  assert.throws(() => planSettings({ hugepageLimits: [{ pageSize: "../x", limit: 0 }] }), RangeError);
});

test("A-040 files by name are those of controllers, and never the group's own", () => {
  assert.deepEqual(written({ unified: new Map([["memory.oom.group", "1"]]) }), { "memory.oom.group": "1" });
  for (
    const file of ["cgroup.procs", "../memory.max", "memory", "memory/max", "cgroup.subtree_control", "a.b.c.d.e.f"]
  ) {
    assert.throws(() => planSettings({ unified: new Map([[file, "1"]]) }), RangeError, file);
  }
  assert.throws(() => planSettings({ unified: new Map([["memory.max", "1\0"]]) }), RangeError);
});
