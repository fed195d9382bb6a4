import { test } from "node:test";
import assert from "node:assert/strict";
import { formatLogTime, makeLinePrinter } from "./log_lines.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

test("times have all nine digits, as docker prints them", () => {
  assert.equal(formatLogTime({ seconds: 1_700_000_000, nanoseconds: 5 }), "2023-11-14T22:13:20.000000005Z");
});

test("each line has the time at which it began, also where it came in pieces of both streams", () => {
  const printer = makeLinePrinter({ timestamps: true, details: "a=b" });
  const at = (seconds: number) => ({ seconds, nanoseconds: 0 });
  const add = (stream: "stdout" | "stderr", seconds: number, text: string) =>
    decoder.decode(printer.add(stream, at(seconds), encoder.encode(text)));
  assert.equal(add("stdout", 0, "one\ntw"), "1970-01-01T00:00:00.000000000Z a=b one\n");
  assert.equal(add("stderr", 1, "err\n"), "1970-01-01T00:00:01.000000000Z a=b err\n");
  assert.equal(
    add("stdout", 2, "o\n\nrest"),
    [
      "1970-01-01T00:00:00.000000000Z a=b two\n",
      "1970-01-01T00:00:02.000000000Z a=b \n",
    ].join(""),
  );
  assert.equal(decoder.decode(printer.end("stdout")), "1970-01-01T00:00:02.000000000Z a=b rest");
  assert.equal(decoder.decode(printer.end("stderr")), "");
});
