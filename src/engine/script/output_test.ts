import { test } from "node:test";
import assert from "node:assert/strict";
import { openSource } from "#ffi/mod.ts";
import { close, makePipe, writeAll } from "#linux/file.ts";
import { Output } from "./output.ts";

function write(fd: Parameters<typeof close>[0], text: string): void {
  writeAll(fd, new TextEncoder().encode(text));
}

function openOutput(mostBytes = 1000): { output: Output; write(text: string): void; end(): void } {
  const pipe = makePipe();
  const output = new Output("stdout", mostBytes);
  output.open(openSource(pipe.read));
  return { output, write: (text) => write(pipe.write, text), end: () => close(pipe.write) };
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}

test("an output that nobody reads is kept, also where a character comes in pieces", async () => {
  const pipe = makePipe();
  const output = new Output("stdout", 1000);
  output.open(openSource(pipe.read));
  for (const byte of new TextEncoder().encode("5 €")) {
    writeAll(pipe.write, Uint8Array.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  close(pipe.write);
  await output.kept;
  assert.equal(output.text(), "5 €");
});

test("whoever asks for the stream late gets what was kept and then the rest, and the result has none of it", async () => {
  const { output, write, end } = openOutput();
  write("early ");
  await new Promise((resolve) => setTimeout(resolve, 20));
  const stream = output.stream();
  assert.equal(output.stream(), stream);
  write("late");
  end();
  assert.equal(await readAll(stream), "early late");
  assert.equal(output.text(), "");
});

test("a stream that was asked for first reads no more than it is asked for", async () => {
  const pipe = makePipe();
  const output = new Output("stdout", 10);
  const stream = output.stream();
  output.open(openSource(pipe.read));
  write(pipe.write, "x".repeat(50_000));
  close(pipe.write);
  await output.kept;
  assert.equal((await readAll(stream)).length, 50_000, "what is not kept has no limit");
});

test("more than is kept is an error, and the writer hears of it", async () => {
  const { output, write } = openOutput(10);
  write("12345678901");
  await assert.rejects(output.kept, { code: "OUTPUT_TOO_LARGE" });
});

test("a stream of a container that never ran rejects with the reason", async () => {
  const output = new Output("stdout", 10);
  const reading = readAll(output.stream());
  output.fail(new Error("never ran"));
  await assert.rejects(reading, /never ran/);
});
