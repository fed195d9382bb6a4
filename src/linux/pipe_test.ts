import { test } from "node:test";
import assert from "node:assert/strict";
import { close, makePipe, writeAll } from "./file.ts";
import { openSink, openSource } from "#ffi/mod.ts";

test("a source gives what comes, and undefined at the end", async () => {
  const pipe = makePipe();
  const source = openSource(pipe.read);
  writeAll(pipe.write, new TextEncoder().encode("one"));
  assert.equal(new TextDecoder().decode(await source.read()), "one");
  const later = source.read();
  setTimeout(() => writeAll(pipe.write, new TextEncoder().encode("two")), 20);
  assert.equal(new TextDecoder().decode(await later), "two");
  close(pipe.write);
  assert.equal(await source.read(), undefined);
  assert.equal(await source.read(), undefined);
  await source.cancel();
});

test("many sources that wait hold up neither each other nor anything else", async () => {
  const pipes = Array.from({ length: 40 }, makePipe);
  const reads = pipes.map(async ({ read }) => {
    const source = openSource(read);
    const first = (await source.read())?.[0];
    await source.cancel();
    return first;
  });
  // a read of a file takes one of the runtime's threads
  const { readFile } = await import("node:fs/promises");
  assert.ok((await readFile("/proc/self/comm")).length > 0);
  // the last first
  for (const [index, { write }] of [...pipes.entries()].reverse()) writeAll(write, Uint8Array.of(index));
  assert.deepEqual(await Promise.all(reads), pipes.map((_, index) => index));
  pipes.forEach(({ write }) => close(write));
});

test("a sink waits until there is room, and the last byte comes through", async () => {
  const pipe = makePipe();
  const bytes = new Uint8Array(300_000).map((_, index) => index % 251);
  const sink = openSink(pipe.write);
  let isWritten = false;
  const writing = sink.write(bytes).then(async (ok) => {
    isWritten = true;
    assert.equal(ok, true);
    assert.equal(await sink.write(Uint8Array.of(1, 2)), true);
    await sink.end();
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isWritten, false, "a pipe has room for 65,536 bytes");
  const source = openSource(pipe.read);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  for (let chunk = await source.read(); chunk !== undefined; chunk = await source.read()) {
    chunks.push(Uint8Array.from(chunk));
  }
  await writing;
  assert.deepEqual(new Uint8Array(await new Blob(chunks).arrayBuffer()), Uint8Array.from([...bytes, 1, 2]));
});

test("a sink tells when nobody reads any more", async () => {
  const pipe = makePipe();
  const sink = openSink(pipe.write);
  close(pipe.read);
  assert.equal(await sink.write(Uint8Array.of(1)), false);
  await sink.end();
});

test("a source that is cancelled while it waits gives undefined", async () => {
  const pipe = makePipe();
  const source = openSource(pipe.read);
  const waiting = source.read();
  await source.cancel();
  assert.equal(await waiting, undefined);
  // the reading end is closed soon: Bun has a copy of it, which it closes in a later round of events
  const sink = openSink(pipe.write);
  while (await sink.write(Uint8Array.of(1))) await new Promise((resolve) => setTimeout(resolve, 1));
  await sink.end();
});
