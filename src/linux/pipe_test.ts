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
  close(pipe.read);
});

test("many sources that wait hold up neither each other nor anything else", async () => {
  const pipes = Array.from({ length: 40 }, makePipe);
  const reads = pipes.map(async ({ read }) => (await openSource(read).read())?.[0]);
  // a read of a file takes one of the runtime's threads
  const { readFile } = await import("node:fs/promises");
  assert.ok((await readFile("/proc/self/comm")).length > 0);
  // the last first
  for (const [index, { write }] of [...pipes.entries()].reverse()) writeAll(write, Uint8Array.of(index));
  assert.deepEqual(await Promise.all(reads), pipes.map((_, index) => index));
  for (const { read, write } of pipes) [read, write].forEach(close);
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
    close(pipe.write);
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
  close(pipe.read);
});

test("a sink tells when nobody reads any more", async () => {
  const pipe = makePipe();
  const sink = openSink(pipe.write);
  close(pipe.read);
  assert.equal(await sink.write(Uint8Array.of(1)), false);
  await sink.end();
  close(pipe.write);
});

test("a source that is cancelled while it waits gives undefined", async () => {
  const pipe = makePipe();
  const source = openSource(pipe.read);
  const waiting = source.read();
  const cancelled = source.cancel();
  // Deno's thread comes back with the end of the pipe
  close(pipe.write);
  assert.equal(await waiting, undefined);
  await cancelled;
  close(pipe.read);
});
