import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "./error.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { encodeJson, isJsonObject, parseJson } from "./json.ts";

const LIMITS = { maxBytes: 1024 * 1024 };
const codeOf = (text: string | Uint8Array, limits = LIMITS): string => {
  try {
    parseJson(text, "the test", limits);
    return "none";
  } catch (error) {
    if (!(error instanceof DugoutError)) throw error;
    return error.code;
  }
};

test("valid JSON gives what JSON.parse gives", () => {
  for (
    const text of [
      "null",
      " [1, -2.5e3, true ,false,null] ",
      '{"a":{"b":["\\u00e9\\n\\"\\\\"]},"":0}',
      '"é😀"',
      "0",
      "[]",
      "{}",
      '"\\ud83d\\ude00"',
    ]
  ) {
    assert.deepEqual(JSON.parse(JSON.stringify(parseJson(text, "the test", LIMITS))), JSON.parse(text), text);
  }
});

test("what is no JSON is refused", () => {
  for (
    const text of [
      "",
      " ",
      "01",
      "1.",
      ".5",
      "+1",
      "1e",
      "nul",
      "NaN",
      "Infinity",
      "'a'",
      '"a',
      '"\\x"',
      '"\\u12"',
      '"\n"',
      "[1,]",
      "[,1]",
      "[1 2]",
      '{"a":1,}',
      "{a:1}",
      '{"a" 1}',
      '{"a":}',
      "[",
      "{",
      '{"a"',
      "]",
      "1 1",
      "/*x*/1",
      "\ufeff1",
      "1e400",
      "-1e400",
      '"\\',
      '"\u0000"',
    ]
  ) assert.equal(codeOf(text), "JSON_INVALID", JSON.stringify(text));
  assert.equal(codeOf(Uint8Array.of(0x22, 0xff, 0x22)), "JSON_INVALID");
  assert.equal(codeOf(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31)), "JSON_INVALID");
});

test("A-013 a key that occurs twice is refused, however it is spelled", () => {
  assert.equal(codeOf('{"layers":[],"layers":[]}'), "JSON_DUPLICATE_KEY");
  assert.equal(codeOf('{"layers":[],"l\\u0061yers":[]}'), "JSON_DUPLICATE_KEY");
  assert.equal(codeOf('{"a":{"__proto__":1,"__proto__":2}}'), "JSON_DUPLICATE_KEY");
  assert.equal(codeOf('{"a":{"b":1},"c":{"b":1}}'), "none");
});

test("A-087 keys that mean something to JavaScript are kept and have no effect", () => {
  const keys = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
  const text = `{${keys.map((key) => `"${key}":{"polluted":true}`).join(",")}}`;
  const value = parseJson(text, "the test", LIMITS);
  assert.ok(isJsonObject(value));
  assert.deepEqual(Object.keys(value), keys);
  assert.equal((value as { polluted?: boolean }).polluted, undefined);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  assert.equal(encodeJson(value), text);
  assert.equal(encodeJson(new Map(keys.map((key) => [key, 1]))), `{${keys.map((key) => `"${key}":1`).join(",")}}`);
});

test("A-099 100,000 nested brackets are refused, 100 are not", () => {
  assert.equal(codeOf("[".repeat(100_000)), "JSON_TOO_DEEP");
  assert.equal(codeOf('{"a":'.repeat(100_000)), "JSON_TOO_DEEP");
  assert.equal(codeOf("[".repeat(100) + "]".repeat(100)), "none");
  assert.equal(codeOf("[".repeat(101) + "]".repeat(101)), "JSON_TOO_DEEP");
});

test("A-098 a document over the limit is refused with both numbers", () => {
  assert.throws(() => parseJson(" ".repeat(11), "the test", { maxBytes: 10 }), /11 bytes, more than 10/);
});

test("whatever the bytes, JSON is parsed as JSON.parse does or refused by our own error", () => {
  const seed = 7;
  const random = seededRandom(seed).fraction;
  const alphabet = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "u00",
    "a",
    "1",
    "-",
    ".",
    "e",
    "true",
    "null",
    " ",
    "\n",
    "é",
    '"k":',
  ];
  for (let round = 0; round < 30_000; round++) {
    let text = "";
    for (let left = Math.floor(random() * 10); left >= 0; left--) {
      text += alphabet[Math.floor(random() * alphabet.length)];
    }
    let expected: unknown;
    let isValid = true;
    try {
      expected = JSON.parse(text);
    } catch {
      isValid = false;
    }
    try {
      const value = parseJson(text, "the test", LIMITS);
      assert.ok(isValid, `seed ${seed}: accepted ${JSON.stringify(text)}`);
      assert.deepEqual(JSON.parse(JSON.stringify(value)), expected);
    } catch (error) {
      if (!(error instanceof DugoutError)) throw error;
      if (isValid) assert.equal(error.code, "JSON_DUPLICATE_KEY", `seed ${seed}: refused ${JSON.stringify(text)}`);
    }
  }
});
