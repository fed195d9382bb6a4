import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteString, fromBytes, fromText, quote, toBytes, toText } from "./bytes.ts";

test("bytes survive as a string, whatever they are", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const held = fromBytes(all);
  assert.equal(held.length, 256);
  assert.deepEqual([...toBytes(held)], [...all]);
});

test("text is held as its UTF-8 bytes and comes back", () => {
  assert.equal(fromText("é").length, 2);
  assert.equal(toText(fromText("dir/é/日本")), "dir/é/日本");
  assert.equal(toText("\xff" as ByteString), undefined);
});

test("A-051 a quoted name holds no control character, whatever the bytes spell", () => {
  const evil = '\u001b]0;x\u0007\b\r\n\u009b\u202e"\\';
  const unsafe = /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;
  assert.doesNotMatch(quote(fromText(evil)), unsafe);
  assert.doesNotMatch(quote("\xff\x9b\x1b" as ByteString), unsafe);
  assert.equal(quote("a\xff" as ByteString), '"a\\xff"');
  assert.equal(quote(fromText("é")), '"é"');
  assert.match(quote("a".repeat(5000) as ByteString), /…" \(5000 bytes\)$/);
});
