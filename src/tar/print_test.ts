import assert from "node:assert/strict";
import { test } from "node:test";
import { fromText } from "./bytes.ts";
import { makeEntry } from "./entry.ts";
import { printHeader } from "./print.ts";
import { encodeHeader } from "./write.ts";

test("a header prints a field a line, as it stands in the block", () => {
  const block = encodeHeader(makeEntry(fromText("dir"), "directory", { uid: 1000, gid: 100, mtimeSeconds: 7 }));
  assert.equal(
    printHeader(block),
    [
      'name "dir/"',
      "mode 0755",
      "uid 1000",
      "gid 100",
      "size 0",
      "mtime 7",
      "checksum 4112",
      'type "5"',
      'magic "ustar"',
      'version "00"',
      "deviceMajor 0",
      "deviceMinor 0",
      "",
    ].join("\n"),
  );
  assert.equal(printHeader(new Uint8Array(512)), "zeros\n");
});
