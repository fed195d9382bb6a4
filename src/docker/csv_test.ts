import { test } from "node:test";
import assert from "node:assert/strict";
import { parseCsvRecord } from "./csv.ts";

test("fields are split at commas, quotes hold them together", () => {
  assert.deepEqual(parseCsvRecord("type=bind,source=/a,target=/b"), ["type=bind", "source=/a", "target=/b"]);
  assert.deepEqual(parseCsvRecord('type=bind,"source=/a,b",target=/c'), ["type=bind", "source=/a,b", "target=/c"]);
  assert.deepEqual(parseCsvRecord('"a""b",""'), ['a"b', ""]);
  assert.deepEqual(parseCsvRecord(""), [""]);
  assert.deepEqual(parseCsvRecord("a,"), ["a", ""]);
  assert.deepEqual(parseCsvRecord(",a"), ["", "a"]);
});

test("a quote out of place, and a second record, are refused", () => {
  for (const text of ['a"b', '"a', '"a"b', "a\nb", 'source="/a"', '"', '""""""" ', "a\rb"]) {
    assert.equal(parseCsvRecord(text), undefined, text);
  }
});

test("A-100 long records take linear time", () => {
  assert.equal(parseCsvRecord(",".repeat(200_000))?.length, 200_001);
  assert.equal(parseCsvRecord('"'.repeat(200_001)), undefined);
  assert.equal(parseCsvRecord('"' + '""'.repeat(100_000) + '"')?.[0]?.length, 100_000);
});
