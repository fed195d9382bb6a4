import assert from "node:assert/strict";
import { test } from "node:test";
import { suggestWord } from "./suggest.ts";

test("the nearest word within two edits is suggested", () => {
  const known = ["images", "image", "pull", "push", "run", "rmi"];
  assert.equal(suggestWord("imags", known), "images");
  assert.equal(suggestWord("pul", known), "pull");
  assert.equal(suggestWord("rnu", known), "run");
  assert.equal(suggestWord("frobnicate", known), undefined);
  assert.equal(suggestWord("xyz", known), undefined);
});

test("a very long word is not compared at all", () => {
  assert.equal(suggestWord("i".repeat(100_000), ["images"]), undefined);
});
