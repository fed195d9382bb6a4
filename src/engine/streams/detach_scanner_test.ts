import test from "node:test";
import assert from "node:assert/strict";
import { makeDetachScanner } from "./detach_scanner.ts";

const KEYS = [0x10, 0x11];

/** Types texts one after the other. @returns What was passed on, and whether the last one detached. */
function type(keys: readonly number[], ...texts: string[]): [string, boolean] {
  const scan = makeDetachScanner(keys);
  let passed = "";
  let last = false;
  for (const text of texts) {
    const { pass, detached } = scan(new TextEncoder().encode(text));
    passed += new TextDecoder().decode(pass);
    last = detached;
  }
  return [passed, last];
}

test("detach keys end what is typed, in one piece or in two", () => {
  assert.deepEqual(type(KEYS, "ls\x10\x11rest"), ["ls", true]);
  assert.deepEqual(type(KEYS, "ls\x10", "\x11"), ["ls", true]);
});

test("the beginning of detach keys is passed on when another key follows", () => {
  assert.deepEqual(type(KEYS, "\x10", "a"), ["\x10a", false]);
  assert.deepEqual(type(KEYS, "\x10\x10a\x11"), ["\x10\x10a\x11", false]);
  assert.deepEqual(type(KEYS, "\x10\x10\x11"), ["\x10", true]);
  assert.deepEqual(type(KEYS, "\x10"), ["", false]);
});

test("keys that repeat within themselves are found behind a false start", () => {
  const keys = [1, 1, 2];
  assert.deepEqual(type(keys, "\x01\x01\x01\x02"), ["\x01", true]);
  assert.deepEqual(type([1, 2, 1, 3], "\x01\x02\x01\x02\x01\x03"), ["\x01\x02", true]);
});

test("without detach keys all is passed on", () => {
  assert.deepEqual(type([], "\x10\x11"), ["\x10\x11", false]);
});
