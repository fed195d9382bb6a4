import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeRequest } from "#docker/request_codec.ts";
import { newRunOptions, newRunRequest, type RestartPolicy } from "#docker/run_request.ts";
import { nextWaitMs, restartPolicyOf, wantsRestart } from "./restart_policy.ts";

test("a policy is read from a record as it was asked for", () => {
  const policies: RestartPolicy[] = [
    { kind: "no" },
    { kind: "always" },
    { kind: "unless-stopped" },
    { kind: "on-failure", maxRetries: 3 },
  ];
  for (const restart of policies) {
    const request = encodeRequest({ ...newRunRequest("i"), restart }, newRunOptions());
    assert.deepEqual(restartPolicyOf({ request }), restart);
  }
  for (const request of [undefined, null, [], {}, { request: { restart: { kind: "bogus" } } }]) {
    assert.deepEqual(restartPolicyOf({ request }), { kind: "no" });
  }
});

test("on-failure starts what failed, or ended nobody knows how, so often and no more", () => {
  const policy: RestartPolicy = { kind: "on-failure", maxRetries: 2 };
  assert.deepEqual([0, 1, 2].map((count) => wantsRestart(policy, 1, count)), [true, true, false]);
  assert.equal(wantsRestart(policy, 0, 0), false);
  assert.equal(wantsRestart(policy, undefined, 0), true);
  assert.equal(wantsRestart({ kind: "on-failure", maxRetries: 0 }, 1, 1000), true);
  assert.equal(wantsRestart({ kind: "always" }, 0, 1000), true);
  assert.equal(wantsRestart({ kind: "no" }, 1, 0), false);
});

test("waits double from 100 ms to a minute, and begin anew behind a run of ten seconds", () => {
  const waits = [nextWaitMs(undefined, 5)];
  while (waits.length < 12) waits.push(nextWaitMs(waits.at(-1), 5));
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
  assert.equal(nextWaitMs(60000, 10_000), 100);
  assert.equal(nextWaitMs(200, undefined), 400);
});
