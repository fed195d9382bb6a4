import { test } from "node:test";
import assert from "node:assert/strict";
import { openSink, openSource } from "#ffi/mod.ts";
import { close, makePipe } from "#linux/file.ts";
import { Input } from "./input.ts";
import { Output } from "./output.ts";

function openInput(): { input: Input; output: Output } {
  const pipe = makePipe();
  const [input, output] = [new Input(), new Output("pipe", 1_000_000)];
  input.open(openSink(pipe.write));
  output.open(openSource(pipe.read));
  return { input, output };
}

test("texts and bytes of an iterable are written, and then the end", async () => {
  const { input, output } = openInput();
  await input.feed(["one ", new Uint8Array(0), new TextEncoder().encode("two")]);
  await output.kept;
  assert.equal(output.text(), "one two");
});

test("a stream is written at the pipe's own speed, and then the end", async () => {
  const { input, output } = openInput();
  const chunk = "x".repeat(50_000);
  let given = 0;
  const source = new ReadableStream<string>({
    pull(controller) {
      if (given++ === 10) controller.close();
      else controller.enqueue(chunk);
    },
  });
  await input.feed(source);
  await output.kept;
  assert.equal(output.text().length, 500_000);
});

test("what is written to the stream comes before its end", async () => {
  const { input, output } = openInput();
  const writer = input.stream().getWriter();
  await writer.write("a");
  await writer.write(Uint8Array.of(0x62));
  await writer.close();
  await output.kept;
  assert.equal(output.text(), "ab");
});

test("a container that reads no more ends a source without an error, and a writer with one", async () => {
  const pipe = makePipe();
  const input = new Input();
  input.open(openSink(pipe.write));
  close(pipe.read);
  let given = 0;
  await input.feed((function* () {
    while (true) yield String(given++);
  })());
  assert.ok(given < 10);

  const other = makePipe();
  const second = new Input();
  second.open(openSink(other.write));
  close(other.read);
  await assert.rejects(second.stream().getWriter().write("x"), { code: "STDIN_CLOSED" });
  await second.end();
});
