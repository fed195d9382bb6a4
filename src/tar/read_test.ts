import assert from "node:assert/strict";
import { test } from "node:test";
import { TarError } from "./error.ts";
import { readTar } from "./read.ts";
import { concat, craftContent, craftHeader, craftPax, craftTar } from "./testing.ts";
import { makeEntry } from "./entry.ts";
import { fromText } from "./bytes.ts";
import { TRAILER, writeTar } from "./write.ts";

async function* inChunks(archive: Uint8Array, size: number) {
  for (let at = 0; at < archive.length; at += size) {
    await Promise.resolve();
    yield archive.subarray(at, at + size);
  }
}

async function text(content: AsyncIterable<Uint8Array>): Promise<string> {
  let all = "";
  for await (const chunk of content) all += new TextDecoder().decode(chunk);
  return all;
}

test("members can be pulled, their content read, passed over, or left half-way", async () => {
  const archive = craftTar([
    ["a", "file", {}, "content of a"],
    ["skipped", "file", {}, "s".repeat(2000)],
    ["half", "file", {}, "h".repeat(2000)],
    ["d", "directory"],
    ["b", "file", {}, "content of b"],
  ]);
  for (const size of [1, 512, 1 << 20]) {
    const seen: string[] = [];
    for await (const { entry, content } of readTar(inChunks(archive, size))) {
      if (entry.path === "a" || entry.path === "b") seen.push(`${entry.path}: ${await text(content)}`);
      else seen.push(entry.path);
      if (entry.path === "half") { for await (const _ of content) break; }
    }
    assert.deepEqual(seen, ["a: content of a", "skipped", "half", "d", "b: content of b"]);
  }
});

test("holes of a sparse file are read as zeros", async () => {
  const archive = concat([
    craftPax([["GNU.sparse.size", "10"], ["GNU.sparse.map", "2,1,5,2"]]),
    craftHeader({ size: "3" }),
    craftContent("abc"),
    TRAILER,
  ]);
  for await (const { content } of readTar([archive])) assert.equal(await text(content), "\0\0a\0\0bc\0\0\0");
});

test("an archive that ends early throws where it ends, and the source is closed", async () => {
  let closed = false;
  async function* source() {
    try {
      yield craftTar([["a", "file", {}, "x".repeat(5000)]]).subarray(0, 2000);
    } finally {
      closed = true;
    }
  }
  await assert.rejects(async () => {
    for await (const { content } of readTar(source())) await text(content);
  }, TarError);
  assert.ok(closed);
});

test("content that is longer or shorter than its entry says is not written", async () => {
  for (const sizeBytes of [1, 3]) {
    const members = [{ entry: makeEntry(fromText("a"), "file", { sizeBytes }), content: [new Uint8Array(2)] }];
    await assert.rejects(async () => {
      for await (const _ of writeTar(members)) { /* to its end */ }
    }, { code: "size" });
  }
});
