import assert from "node:assert/strict";
import { test } from "node:test";
import type { Field } from "./layout.ts";
import { readDecimal, readNumber, readTime, spellTime } from "./number.ts";

const SIZE: Field = [0, 12];

function field(text: string): Uint8Array {
  return Uint8Array.from(text.padEnd(12, "\0"), (char) => char.charCodeAt(0));
}

test("octal fields are read as all readers agree to", () => {
  const cases: [string, number][] = [
    ["00000001750\0", 1000],
    ["1750 ", 1000],
    ["     1750 \0", 1000],
    ["\x0000001750\0", 1000],
    ["777777777777", 0o777777777777],
    ["", 0],
    ["      ", 0],
    ["1750\0junk", 1000],
    ["12 34", NaN],
    ["0x10", NaN],
    ["-1", NaN],
    ["8", NaN],
    ["1e3", NaN],
  ];
  for (const [text, value] of cases) assert.equal(readNumber(field(text), 0, SIZE), value, JSON.stringify(text));
});

test("A-007 base-256 fields are exact up to 2^53−1 and refused above", () => {
  assert.equal(readNumber(field("\x80\0\0\0\0\x1f\xff\xff\xff\xff\xff\xff").subarray(0), 0, SIZE), 2 ** 53 - 1);
  assert.equal(readNumber(field("\x80\0\0\0\0\x20\0\0\0\0\0\0"), 0, SIZE), NaN);
  assert.equal(readNumber(field("\xff".repeat(12)), 0, SIZE), -1);
  assert.equal(readNumber(field("\xff".repeat(11) + "\0"), 0, SIZE), -256);
  assert.equal(readNumber(field("\xc0" + "\0".repeat(11)), 0, SIZE), NaN);
  assert.equal(readNumber(field("\x80\0\0\0\0\0\0\x01"), 0, [0, 8]), 1);
});

test("A-007 decimal numbers of records are digits and nothing else", () => {
  for (
    const text of ["", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "NaN", "Infinity", "1e9999", "9007199254740993"]
  ) {
    assert.equal(readDecimal(text), NaN, text);
  }
  assert.equal(readDecimal("9007199254740991"), 2 ** 53 - 1);
  assert.equal(readDecimal("007"), 7);
});

test("times keep nanoseconds, round down, and come back as they were", () => {
  assert.deepEqual(readTime("1.5"), { seconds: 1, nanoseconds: 500_000_000 });
  assert.deepEqual(readTime("-1"), { seconds: -1, nanoseconds: 0 });
  assert.deepEqual(readTime("-0.5"), { seconds: -1, nanoseconds: 500_000_000 });
  assert.deepEqual(readTime("-0.0000000001"), { seconds: -1, nanoseconds: 999_999_999 });
  assert.deepEqual(readTime("7.12345678901234567890"), { seconds: 7, nanoseconds: 123_456_789 });
  for (const text of ["1e300", "", ".", "1.2.3", "--1", "99999999999999999999"]) {
    assert.equal(readTime(text), undefined, text);
  }
  for (
    const [seconds, nanoseconds] of [[0, 0], [-1, 0], [-1, 1], [-5, 999_999_999], [9, 10], [-1, 500_000_000]] as const
  ) {
    assert.deepEqual(readTime(spellTime(seconds, nanoseconds)), { seconds, nanoseconds });
  }
});
