import assert from "node:assert/strict";
import test from "node:test";
import { fromText } from "./bytes.ts";
import { makeEntry, type TarEntry } from "./entry.ts";
import { TarOutput } from "./output.ts";
import { TarReader } from "./reader.ts";

function readBack(write: (output: TarOutput) => void): { entry: TarEntry; data: [number, string][] }[] {
  const found: { entry: TarEntry; data: [number, string][] }[] = [];
  const reader = new TarReader({
    entry: (entry) => void found.push({ entry, data: [] }),
    data: (bytes, at) => void found.at(-1)!.data.push([at, Buffer.from(bytes).toString("latin1")]),
    end: () => {},
  });
  write(new TarOutput((bytes) => reader.write(bytes.slice())));
  reader.finish();
  return found;
}

test("what is pushed is read back, small and large pieces in their order", () => {
  const large = Buffer.alloc(200_000, "x");
  const found = readBack((output) => {
    output.entry(makeEntry(fromText("a"), "file", { sizeBytes: 3 }));
    output.data(Buffer.from("abc"));
    output.entry(makeEntry(fromText("b"), "file", { sizeBytes: large.length }));
    output.data(large);
    output.entry(makeEntry(fromText("c"), "directory"));
    output.finish();
  });
  assert.deepEqual(found.map(({ entry }) => entry.path), ["a", "b", "c"]);
  assert.equal(found[0]!.data.map(([, text]) => text).join(""), "abc");
  assert.equal(found[1]!.data.reduce((sum, [, text]) => sum + text.length, 0), large.length);
});

test("a file with holes has the same runs, name and size when it is read back", () => {
  const path = fromText(`${"long/".repeat(40)}file`);
  const runs = [{ offset: 4096, length: 3 }, { offset: 10_000, length: 2 }];
  const found = readBack((output) => {
    output.entry(makeEntry(path, "file", { sizeBytes: 20_000 }), runs);
    output.data(Buffer.from("abc"));
    output.data(Buffer.from("de"));
    output.entry(makeEntry(fromText("hole"), "file", { sizeBytes: 5000 }), []);
    output.finish();
  });
  assert.deepEqual(found.map(({ entry }) => [entry.path, entry.sizeBytes]), [[path, 20_000], ["hole", 5000]]);
  assert.deepEqual(found[0]!.entry.sparse, runs);
  assert.deepEqual(found[0]!.data, [[4096, "abc"], [10_000, "de"]]);
});

test("content of another size than was said is refused", () => {
  const output = new TarOutput(() => {});
  output.entry(makeEntry(fromText("a"), "file", { sizeBytes: 3 }));
  assert.throws(() => output.data(Buffer.from("abcd")), /longer/);
  assert.throws(() => output.finish(), /lacks 3 bytes/);
});
