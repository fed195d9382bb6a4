import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPrintf, quoteGo } from "./printf.ts";
import { GoFloat } from "./value.ts";

test("formats as Go's Sprintf does", () => {
  const cases: [string, unknown[], string][] = [
    ["%d items", [3], "3 items"],
    ["%5d|%-5d|%05d|%+d|% d", [42, 42, 42, 42, 42], "   42|42   |00042|+42| 42"],
    ["%x %X %#x %o %O %b %c %U", [255, 255, 255, 8, 8, 5, 65, 65], "ff FF 0xff 10 0o10 101 A U+0041"],
    ["%s|%10s|%-10s|%.2s", ["abc", "abc", "abc", "abc"], "abc|       abc|abc       |ab"],
    ["%q %v %#v", ['a\n"b', "x", "x"], '"a\\n\\"b" x "x"'],
    ["%t %v", [true, false], "true false"],
    ["%f %.2f %8.3f %e %g", [2.5, 2.5, 2.5, 1234.5678, 1e-7], "2.500000 2.50    2.500 1.234568e+03 1e-07"],
    ["%.3g %.3g %.3g", [999.999, new GoFloat(5), 1234.5], "1e+03 5 1.23e+03"],
    ["%v %v", [["a", "b"], new Map([["b", 1], ["a", 2]])], "[a b] map[a:2 b:1]"],
    ["%s", [["a", "b"]], "[a b]"],
    ["%%", [], "%"],
    ["%d", ["x"], "%!d(string=x)"],
    ["%s", [5], "%!s(int=5)"],
    ["%s %s", ["a"], "a %!s(MISSING)"],
    ["%d", [1, 2], "1%!(EXTRA int=2)"],
    ["%[2]d %[1]d", [1, 2], "2 1"],
    ["%[3]d", [1], "%!d(BADINDEX)"],
    ["%", [], "%!(NOVERB)"],
    ["%v", [null], "<nil>"],
    ["%-5t|", [true], "true |"],
  ];
  for (const [format, args, expected] of cases) assert.equal(formatPrintf(format, args), expected, format);
});

test("a string is quoted as a Go literal", () => {
  assert.equal(quoteGo("é\x00\x7f\u202e\t\\"), '"é\\x00\\x7f\\u202e\\t\\\\"');
});
