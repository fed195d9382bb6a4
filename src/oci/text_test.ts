import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "./error.ts";
import { escapeText, quote } from "./text.ts";

test("A-051 control characters, bidirectional overrides and lone surrogates are shown as escapes", () => {
  assert.equal(escapeText("a\x1b[2Jb"), "a\\x1b[2Jb");
  assert.equal(escapeText("\n\t\r\0\x7f\x9b"), "\\n\\t\\r\\x00\\x7f\\x9b");
  assert.equal(escapeText("x\u202ey\u2066z"), "x\\u202ey\\u2066z");
  assert.equal(escapeText("\ud800"), "\\ud800");
  assert.equal(escapeText("héllo 😀"), "héllo 😀");
});

test("long text is cut", () => {
  assert.equal(escapeText("aaaa", 2), "aa…");
  assert.equal(quote("x".repeat(300)).length, 203);
});

test("an error carries code, hint and exit code", () => {
  const error = new DugoutError("X", "Cannot x", { hint: "do y", exitCode: 1 });
  assert.deepEqual([error.name, error.code, error.hint, error.exitCode, error.message], [
    "DugoutError",
    "X",
    "do y",
    1,
    "Cannot x",
  ]);
  assert.equal(new DugoutError("X", "Cannot x").exitCode, 125);
  assert.equal("hint" in new DugoutError("X", "Cannot x"), false);
});
