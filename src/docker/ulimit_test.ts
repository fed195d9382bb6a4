import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { parseUlimit } from "./ulimit.ts";

const NONE = 0xffff_ffff_ffff_ffffn;

test("a limit has a soft and a hard value, or one for both", () => {
  assert.deepEqual(parseUlimit("nofile=1024:4096"), { name: "nofile", soft: 1024n, hard: 4096n });
  assert.deepEqual(parseUlimit("nproc=10"), { name: "nproc", soft: 10n, hard: 10n });
  assert.deepEqual(parseUlimit("memlock=-1"), { name: "memlock", soft: NONE, hard: NONE });
  assert.deepEqual(parseUlimit("core=0:-1"), { name: "core", soft: 0n, hard: NONE });
  assert.deepEqual(parseUlimit("RLIMIT_AS=18446744073709551615").soft, NONE);
  assert.deepEqual(parseUlimit("STACK=unlimited").hard, NONE);
});

test("what is no limit is refused", () => {
  const bad = [
    "",
    "nofile",
    "nofile=",
    "nofile=:",
    "nofile=1:",
    "nofile=:1",
    "nofile=1:2:3",
    "nofile=2:1",
    "nofile=-1:5",
    "nofile=-2",
  ]
    .concat([
      "nofile=1k",
      "nofile=1.5",
      "nofile= 1",
      "nofile=0x1",
      "nosuch=1",
      "=1",
      "__proto__=1",
      "nofile=18446744073709551616",
    ]);
  for (const text of bad) assert.throws(() => parseUlimit(text), DugoutError, text);
});
