/**
 * Limits where no control groups are delegated (version 1, hybrid): each is an error that says why, or is kept by other means,
 * as both kinds of user. What they do where they are delegated is tested in guests: guests/limits.sh.
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { cpus, release } from "node:os";
import { asBoth, DUGOUT, needsRegistry, REGISTRY, type Result, type Sandbox } from "./harness.ts";

const IMAGE = `${REGISTRY}/busybox`;
const skip = needsRegistry() || (hasDelegation() && "control groups are delegated here");

function sh(box: Sandbox, line: string, flags: readonly string[] = []): Promise<Result> {
  return box.dugout(["run", "--rm", "-q", "--network", "none", ...flags, IMAGE, "sh", "-c", line], {
    timeoutMs: 30_000,
  });
}

asBoth("C-064 a limit that needs delegation is an error that says so, and never without effect", async (box) => {
  const disk = readdirSync("/sys/block").find((name) => existsSync(`/dev/${name}`));
  const flags = [
    ["--memory", "64m"],
    ["--memory-reservation", "64m"],
    ["--cpus", "0.5"],
    ["--cpu-shares", "100"],
    ["--cpu-quota", "50000"],
    ["--cpuset-mems", "0"],
    ["--pids-limit", "10"],
    ["--blkio-weight", "100"],
    ["--cgroup-parent", "work.slice"],
    ...(disk === undefined ? [] : [["--device-write-bps", `/dev/${disk}:1mb`]]),
  ];
  for (const flag of flags) {
    const { code, stderr } = await sh(box, "true", flag);
    assert.equal(code, 125, flag.join(" "));
    assert.match(stderr, /^dugout: Cannot (?:limit|use) .*(?:version 1|hybrid)/, flag.join(" "));
  }
  const best = await sh(box, "echo ran", ["--memory", "64m", "--cpus", "0.5", "--limits", "best-effort"]);
  assert.deepEqual([best.code, best.stdout], [0, "ran\n"], best.stderr);
  assert.match(best.stderr, /Cannot limit memory:.*runs without this limit/);
  assert.match(best.stderr, /Cannot limit processor time:.*runs without this limit/);
}, { skip });

asBoth(
  "C-064 --cpuset-cpus is kept by affinity where no controller is delegated, in what is executed later too",
  async (box) => {
    const last = cpus().length - 1;
    const show = "grep Cpus_allowed_list /proc/self/status";
    const { code, stdout, stderr } = await sh(box, show, ["--cpuset-cpus", String(last)]);
    assert.deepEqual([code, stdout.trim().split(/\s+/).at(-1)], [0, String(last)], stderr);
    assert.match(stderr, /affinity/);
    const beyond = await sh(box, "true", ["--cpuset-cpus", String(last + 1)]);
    assert.equal(beyond.code, 125);
    assert.match(beyond.stderr, /Requested CPUs are not available/);
    try {
      await box.succeed([
        "run",
        "-d",
        "-q",
        "--name",
        "kept",
        "--network",
        "none",
        "--cpuset-cpus",
        "0",
        IMAGE,
        "sleep",
        "100",
      ]);
      assert.match((await box.succeed(["exec", "kept", "sh", "-c", show])).stdout, /\t0\n$/);
    } finally {
      await box.run([DUGOUT, "rm", "-f", "kept"]);
    }
  },
  { skip },
);

asBoth("C-064 --pids-limit is kept by the pid namespace where the kernel has that", async (box) => {
  const forks = "i=0; while [ $i -lt 400 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo all";
  const { stdout, stderr } = await sh(box, `cat /proc/sys/kernel/pid_max; (${forks}) 2>&1 | tail -1`, [
    "--pids-limit",
    "300",
  ]);
  assert.match(stderr, /largest pid/);
  assert.match(stdout, /^301\n/);
  assert.doesNotMatch(stdout, /all/);
}, { skip: skip || (!hasPidMax() && "needs Linux 6.14") });

/** Whether a limit could be set here. */
function hasDelegation(): boolean {
  return existsSync("/sys/fs/cgroup/cgroup.controllers");
}

/** Linux 6.14: a pid namespace has a largest pid of its own. */
function hasPidMax(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 14);
}
