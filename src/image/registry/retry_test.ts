import assert from "node:assert/strict";
import { test } from "node:test";
import { isTransientStatus, parseRetryAfter, planDelayMs, RETRY } from "./retry.ts";

const NOW = Date.parse("2026-01-02T03:04:05Z");
const retryAfter = (value: string) => parseRetryAfter(new Map([["retry-after", [value]]]), NOW);

test("C-036 Retry-After is seconds or a date, and nonsense is ignored", () => {
  assert.equal(retryAfter("2"), 2000);
  assert.equal(retryAfter("0"), 0);
  assert.equal(retryAfter("Fri, 02 Jan 2026 03:04:15 GMT"), 10_000);
  assert.equal(retryAfter("Fri, 02 Jan 2026 03:00:00 GMT"), 0);
  for (const value of ["", "-5", "1.5", "soon", "99999999999", "1e9", "x".repeat(10_000)]) {
    assert.equal(retryAfter(value), undefined, value);
  }
  assert.equal(parseRetryAfter(new Map(), NOW), undefined);
});

test("C-036 what the registry asks for is obeyed up to a cap; without it the wait doubles", () => {
  assert.equal(planDelayMs(1, 2000, () => 0), 2000);
  assert.equal(planDelayMs(1, 86_400_000, () => 0), RETRY.maxRetryAfterMs);
  assert.deepEqual([1, 2, 3, 4, 5, 9].map((failures) => planDelayMs(failures, undefined, () => 0)), [
    500,
    1000,
    2000,
    4000,
    8000,
    10_000,
  ]);
  assert.equal(planDelayMs(1, undefined, () => 0.999), 625);
});

test("C-037 which statuses are repeated", () => {
  assert.deepEqual([400, 401, 403, 404, 429, 500, 501, 502, 503, 504].filter(isTransientStatus), [
    429,
    500,
    502,
    503,
    504,
  ]);
});
