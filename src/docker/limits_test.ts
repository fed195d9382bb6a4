import assert from "node:assert/strict";
import test from "node:test";
import { checkLimits, checkProcessors, newLimits, parseNanoCpus, RUN_LIMIT_READERS } from "./limits.ts";
import type { LimitsRequest } from "./run_request.ts";

function read(...flags: [flag: string, value: string][]): LimitsRequest {
  const limits = newLimits();
  for (const [flag, value] of flags) RUN_LIMIT_READERS.get(flag)!(limits, value, `--${flag}`);
  return limits;
}

test("limits are read in docker's grammar", () => {
  const limits = read(
    ["memory", "64m"],
    ["memory-swap", "-1"],
    ["memory-reservation", "32MB"],
    ["cpus", "1.5"],
    ["cpu-shares", "512"],
    ["cpuset-cpus", "0-2,7"],
    ["pids-limit", "-1"],
    ["blkio-weight", "300"],
    ["blkio-weight-device", "/dev/sda:200"],
    ["device-read-bps", "/dev/sda:1mb"],
    ["device-write-iops", "/dev/sda:100"],
    ["device-write-iops", "/dev/sda:50"],
    ["cgroup-parent", "work.slice"],
    ["limits", "best-effort"],
  );
  assert.deepEqual(limits, {
    ...newLimits(),
    mode: "best-effort",
    memoryBytes: 64 << 20,
    memorySwapBytes: -1,
    memoryReservationBytes: 32 << 20,
    nanoCpus: 1.5e9,
    cpuShares: 512,
    cpusetCpus: "0-2,7",
    pidsLimit: -1,
    blkioWeight: 300,
    blkioWeightDevices: [{ path: "/dev/sda", amount: 200 }],
    deviceReadBps: [{ path: "/dev/sda", amount: 1 << 20 }],
    deviceWriteIops: [{ path: "/dev/sda", amount: 50 }],
    cgroupParent: "work.slice",
  });
  checkLimits(limits);
});

test("what means unset is none", () => {
  const unset = [
    "memory",
    "memory-swap",
    "cpus",
    "cpu-shares",
    "cpu-period",
    "cpu-quota",
    "pids-limit",
    "blkio-weight",
  ];
  assert.deepEqual(read(...unset.map((flag): [string, string] => [flag, "0"])), newLimits());
  assert.deepEqual(read(["cpuset-cpus", ""], ["cgroup-parent", ""], ["memory", ""]), newLimits());
});

test("what is no limit is refused with what it must be", () => {
  const bad: [string, string][] = [
    ["memory", "x"],
    ["memory", "-1"],
    ["memory-swap", "-2"],
    ["cpus", "1.0000000001"],
    ["cpus", "-1"],
    ["cpus", "."],
    ["cpu-shares", "1"],
    ["cpu-shares", "262145"],
    ["cpu-period", "999"],
    ["cpu-quota", "-2"],
    ["cpuset-cpus", "3-1"],
    ["cpuset-mems", "a"],
    ["pids-limit", "1.5"],
    ["blkio-weight", "9"],
    ["blkio-weight", "1001"],
    ["blkio-weight-device", "/dev/sda"],
    ["blkio-weight-device", "sda:100"],
    ["device-read-bps", "/dev/sda:-1"],
    ["device-read-iops", "/dev/sda:1mb"],
    ["limits", "none"],
  ];
  for (const [flag, value] of bad) {
    assert.throws(() => read([flag, value]), { code: "FLAG_INVALID" }, `--${flag} ${value}`);
  }
});

test("A-040 a parent is a slice or a plain path below our own group, never one above", () => {
  assert.equal(read(["cgroup-parent", "/a/b"]).cgroupParent, "a/b");
  for (
    const parent of [
      "..",
      "a/../../b",
      "-.slice",
      "/",
      "a/cgroup.procs",
      "memory.max",
      "a b",
      "a\nb",
      "../x.slice",
    ]
  ) {
    assert.throws(() => read(["cgroup-parent", parent]), { code: "FLAG_INVALID" }, parent);
  }
});

test("limits must agree, in docker's words", () => {
  const refused: [Partial<LimitsRequest>, RegExp][] = [
    [{ memoryBytes: 1024 }, /Minimum memory limit allowed is 6MB/],
    [{ memorySwapBytes: 64 << 20 }, /always set the Memory limit/],
    [{ memoryBytes: 64 << 20, memorySwapBytes: 32 << 20 }, /larger than memory limit/],
    [{ memoryBytes: 16 << 20, memoryReservationBytes: 32 << 20 }, /less than memory reservation/],
    [{ memoryReservationBytes: 1024 }, /Minimum memory reservation/],
    [{ nanoCpus: 1e9, cpuPeriod: 1000 }, /Nano CPUs and CPU Period/],
    [{ nanoCpus: 1e9, cpuQuota: 1000 }, /Nano CPUs and CPU Quota/],
    [{ cpuQuota: 5 }, /quota can not be less than 1ms/],
  ];
  for (const [limits, words] of refused) assert.throws(() => checkLimits({ ...newLimits(), ...limits }), words);
  assert.throws(
    () => checkProcessors({ ...newLimits(), nanoCpus: 3e9 }, 2),
    /from 0\.01 to 2\.00, as there are only 2/,
  );
  assert.throws(() => checkProcessors({ ...newLimits(), nanoCpus: 1 }, 2), /range of CPUs/);
  checkProcessors({ ...newLimits(), nanoCpus: 2e9 }, 2);
});

test("processors are decimals, exact to the billionth", () => {
  assert.deepEqual(["0.1", ".5", "2", "0.000000001", "1."].map(parseNanoCpus), [1e8, 5e8, 2e9, 1, 1e9]);
  for (const bad of ["", ".", "1e3", "0x1", "1/2", "+1"]) assert.equal(parseNanoCpus(bad), undefined, bad);
});
