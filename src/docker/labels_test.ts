import { test } from "node:test";
import assert from "node:assert/strict";
import { parseLabel, parseLabelFile } from "./labels.ts";

test("labels have a name, and a value that may be empty", () => {
  assert.deepEqual(parseLabel("a=b=c"), ["a", "b=c"]);
  assert.deepEqual(parseLabel("a"), ["a", ""]);
  assert.deepEqual(parseLabel("a="), ["a", ""]);
  for (const text of ["", "=b", "a=\0"]) assert.throws(() => parseLabel(text), /Cannot use/);
});

test("A-087 labels may have the names of JavaScript's own properties", () => {
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    assert.deepEqual(new Map([parseLabel(`${name}=x`)]).get(name), "x");
  }
});

test("a file has a label a line", () => {
  const bytes = new TextEncoder().encode("# c\na=b\nplain\n__proto__=x\n");
  assert.deepEqual(parseLabelFile(bytes, "f"), [["a", "b"], ["plain", ""], ["__proto__", "x"]]);
});
