import assert from "node:assert/strict";
import { test } from "node:test";
import { createLimiter } from "./limiter.ts";

test("never more than so many run at once, and all of them run, in order", async () => {
  const limit = createLimiter(2);
  let running = 0;
  let most = 0;
  const order: number[] = [];
  await Promise.all(Array.from({ length: 10 }, (_, at) =>
    limit(async () => {
      order.push(at);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    })));
  assert.equal(most, 2);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a failure gives its place on; after an abort nothing new is begun", async () => {
  const controller = new AbortController();
  const limit = createLimiter(1, controller.signal);
  const begun: string[] = [];
  const results = await Promise.allSettled([
    limit(() => Promise.reject(new Error("first"))),
    limit(() => {
      begun.push("second");
      controller.abort(new Error("stop"));
      return Promise.resolve();
    }),
    limit(() => {
      begun.push("third");
      return Promise.resolve();
    }),
  ]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "fulfilled", "rejected"]);
  assert.deepEqual(begun, ["second"]);
});
