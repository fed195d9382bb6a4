import { test } from "node:test";
import assert from "node:assert/strict";
import { parseRlimitName, RLIMIT_NAMES, rlimitNumber, rlimitSpecName } from "./rlimits.ts";

test("a limit is found by its names", () => {
  assert.equal(parseRlimitName("nofile"), "nofile");
  assert.equal(parseRlimitName("RLIMIT_NOFILE"), "nofile");
  for (const text of ["", "no", "rlimit_", "__proto__", "nofile "]) assert.equal(parseRlimitName(text), undefined);
});

test("the numbers are those of the kernel", () => {
  assert.equal(rlimitNumber("cpu"), 0);
  assert.equal(rlimitNumber("nproc"), 6);
  assert.equal(rlimitNumber("nofile"), 7);
  assert.equal(rlimitNumber("rttime"), 15);
  assert.equal(RLIMIT_NAMES.length, 16);
});

test("the runtime-spec's name is read back", () => {
  for (const name of RLIMIT_NAMES) assert.equal(parseRlimitName(rlimitSpecName(name)), name);
});
