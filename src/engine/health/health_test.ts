import assert from "node:assert/strict";
import { test } from "node:test";
import type { HealthRequest } from "#docker/run_request.ts";
import { newRunRequest } from "#docker/run_request.ts";
import { type HealthConfig, healthConfig, mergeHealthcheck } from "./health_config.ts";
import { judge, newHealth, nextProbeMs, type ProbeResult } from "./judge.ts";

const CONFIG: HealthConfig = {
  command: ["true"],
  intervalMs: 1000,
  timeoutMs: 1000,
  startPeriodMs: 0,
  startIntervalMs: 100,
  retries: 3,
  onFailure: undefined,
};

const probe = (exitCode: number, startMs = 0): ProbeResult => ({ startMs, endMs: startMs + 10, exitCode, output: "" });
const ask = (
  said: Partial<HealthRequest>,
): HealthRequest => ({ ...newRunRequest("i").health, ...said } as HealthRequest);

test("a check is the image's, with what was asked for in its place", () => {
  const image = { Test: ["CMD", "/check"], Interval: 5e9, Retries: 7 };
  assert.deepEqual(healthConfig(ask({}), { Healthcheck: image }), {
    command: ["/check"],
    intervalMs: 5000,
    timeoutMs: 30_000,
    startPeriodMs: 0,
    startIntervalMs: 5000,
    retries: 7,
    onFailure: undefined,
  });
  assert.deepEqual(mergeHealthcheck(ask({ command: "x y", retries: 2 }), image), {
    Test: ["CMD-SHELL", "x y"],
    Interval: 5e9,
    Retries: 2,
  });
  assert.deepEqual(healthConfig(ask({ command: "x y" }), { Shell: ["/bin/bash", "-ec"] })?.command, [
    "/bin/bash",
    "-ec",
    "x y",
  ]);
});

test("no check: none asked for, none there, NONE, and one without a command", () => {
  assert.equal(healthConfig({ kind: "none" }, { Healthcheck: { Test: ["CMD", "x"] } }), undefined);
  assert.equal(healthConfig(ask({}), {}), undefined);
  for (const Test of [[], ["NONE"], ["CMD"], ["BOGUS", "x"]]) {
    assert.equal(healthConfig(ask({}), { Healthcheck: { Test } }), undefined, Test.join());
  }
  assert.equal(healthConfig(ask({ intervalNs: 1e9 }), {}), undefined);
});

test("it is unhealthy behind so many failures in a row, and well behind one success", () => {
  let health = newHealth();
  for (
    const [exitCode, status, streak] of [
      [1, "starting", 1],
      [1, "starting", 2],
      [-1, "unhealthy", 3],
      [0, "healthy", 0],
      [2, "healthy", 1],
      [0, "healthy", 0],
    ] as const
  ) {
    health = judge(health, probe(exitCode), CONFIG, 0);
    assert.deepEqual([health.status, health.failingStreak], [status, streak]);
  }
  assert.equal(health.log.length, 5);
});

test("failures in the start period do not count, until it was well once", () => {
  const config = { ...CONFIG, startPeriodMs: 5000, retries: 1 };
  let health = judge(newHealth(), probe(1, 100), config, 0);
  assert.deepEqual([health.status, health.failingStreak], ["starting", 0]);
  assert.equal(judge(health, probe(1, 5000), config, 0).status, "unhealthy");
  health = judge(health, probe(0, 200), config, 0);
  assert.equal(judge(health, probe(1, 300), config, 0).status, "unhealthy");
});

test("probes come an interval behind the last one, and closer in the start period", () => {
  assert.equal(nextProbeMs(newHealth(), CONFIG, 50), 1050);
  assert.equal(nextProbeMs(judge(newHealth(), probe(1, 1050), CONFIG, 50), CONFIG, 50), 2060);
  assert.equal(nextProbeMs(newHealth(), { ...CONFIG, startPeriodMs: 5000 }, 50), 150);
});
