import assert from "node:assert/strict";
import { test } from "node:test";
import { cutToWidth, cutWithEllipsis, displayWidth } from "./width.ts";

test("wide characters take two columns, joined marks none", () => {
  assert.equal(displayWidth("abc"), 3);
  assert.equal(displayWidth("日本"), 4);
  assert.equal(displayWidth("e\u0301"), 1);
  assert.equal(displayWidth("é"), 1);
  assert.equal(displayWidth("🚢x"), 3);
});

test("a text is cut to columns without half a character", () => {
  assert.equal(cutToWidth("日本語", 5), "日本");
  assert.equal(cutToWidth("abc", 5), "abc");
});

test("a cut text ends with an ellipsis, as in docker's lists", () => {
  assert.equal(cutWithEllipsis("abcdef", 4), "abc…");
  assert.equal(cutWithEllipsis("abcd", 4), "abcd");
});
