import { test } from "node:test";
import assert from "node:assert/strict";
import { DugoutError } from "#oci/error.ts";
import { mergeVariables, parseEnvFile, parseVariable } from "./environment.ts";

const CALLER = new Map([["CALLER", "set"], ["EMPTY", ""]]);
const lookUp = (name: string): string | undefined => CALLER.get(name);
const parse = (text: string): ReturnType<typeof parseVariable> => parseVariable(text, lookUp);
const parseFile = (text: string): ReturnType<typeof parseEnvFile> =>
  parseEnvFile(new TextEncoder().encode(text), "f", lookUp);

function thrown(action: () => unknown): DugoutError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof DugoutError);
    return error;
  }
  throw new Error("nothing was thrown");
}

test("a variable has a value, or takes the caller's, or is not sent", () => {
  assert.deepEqual(parse("A=b"), ["A", "b"]);
  assert.deepEqual(parse("A="), ["A", ""]);
  assert.deepEqual(parse("A=b=c"), ["A", "b=c"]);
  assert.deepEqual(parse("A=two\nlines"), ["A", "two\nlines"]);
  assert.deepEqual(parse("CALLER"), ["CALLER", "set"]);
  assert.deepEqual(parse("EMPTY"), ["EMPTY", ""]);
  assert.equal(parse("UNSET"), undefined);
  assert.deepEqual(parse("__proto__=x"), ["__proto__", "x"]);
  assert.deepEqual(parse(" A=b"), [" A", "b"]);
  for (const text of ["", "=", "=x", "A=\0", "A\0=x"]) assert.equal(thrown(() => parse(text)).code, "FLAG_INVALID");
});

test("A-031 a newline in HOME, USER or PATH is refused", () => {
  for (const name of ["HOME", "USER", "PATH"]) {
    assert.equal(thrown(() => parse(`${name}=/\nroot2::0:0::/:`)).code, "FLAG_INVALID");
    assert.deepEqual(parse(`${name}=/x`), [name, "/x"]);
  }
});

test("C-137 a variable that the kernel would refuse is refused by name, with exit code 126", () => {
  const error = thrown(() => parse(`BIG=${"x".repeat(140_000)}`));
  assert.equal(error.exitCode, 126);
  assert.match(error.message, /"BIG": 140004 bytes, where the kernel takes 131071/);
  assert.equal(parse(`B=${"x".repeat(131_069)}`)?.[1].length, 131_069);
  assert.equal(thrown(() => parse(`B=${"x".repeat(131_070)}`)).code, "ENV_TOO_LONG");
  // bytes, not characters
  assert.equal(thrown(() => parse(`B=${"é".repeat(70_000)}`)).code, "ENV_TOO_LONG");
  assert.equal(thrown(() => parseFile(`B=${"x".repeat(140_000)}`)).exitCode, 126);
});

test("C-137 two thousand variables of 500 bytes are fine", () => {
  const texts = Array.from({ length: 2000 }, (_, index) => `V${index}=${"x".repeat(500)}`);
  assert.equal(mergeVariables(texts.map((text) => parse(text)!)).length, 2000);
  assert.equal(parseFile(texts.join("\n")).length, 2000);
});

test("a file's lines are taken as they stand", () => {
  const file =
    "\ufeff# comment\n\nA=b\r\n  B= spaced \n\tC='q'\nD=#no comment\nCALLER\nUNSET\nE=f=g\nF=\n   # indented\n   \n";
  assert.deepEqual(parseFile(file), [
    ["A", "b"],
    ["B", " spaced "],
    ["C", "'q'"],
    ["D", "#no comment"],
    ["CALLER", "set"],
    ["E", "f=g"],
    ["F", ""],
  ]);
  assert.deepEqual(parseFile(""), []);
  assert.deepEqual(parseFile("A=b"), [["A", "b"]]);
});

test("a file's mistakes are told with the line", () => {
  assert.match(thrown(() => parseFile("A=b\n=x")).message, /"f" for --env-file: line 2: there is no name/);
  assert.match(thrown(() => parseFile("A B=c")).message, /line 1: the name "A B" has blanks/);
  assert.match(thrown(() => parseFile("A =c")).message, /has blanks/);
  assert.match(thrown(() => parseEnvFile(Uint8Array.of(0x41, 0x3d, 0xff), "f", lookUp)).message, /not UTF-8/);
  assert.match(thrown(() => parseEnvFile(new Uint8Array(16 * 1024 * 1024 + 1), "f", lookUp)).message, /more than/);
});

test("a later value takes the place of an earlier one", () => {
  assert.deepEqual(mergeVariables([["A", "1"], ["B", "2"]], [["A", "3"], ["__proto__", "4"]]), [
    ["A", "3"],
    ["B", "2"],
    ["__proto__", "4"],
  ]);
});
