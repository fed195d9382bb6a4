import { test } from "node:test";
import assert from "node:assert/strict";
import { isUnprintable } from "#linux/unprintable.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { escapeControls, quoteBytes, quoteText } from "./quote.ts";

test("text is quoted as C does, UTF-8 stays readable, other bytes are numbers", () => {
  assert.equal(quoteText('a "b" \\ é 日本 😀', 100), '"a \\"b\\" \\\\ é 日本 😀"');
  assert.equal(quoteBytes(new Uint8Array([0x41, 0xff, 0xc3, 0x41]), 100), '"A\\xff\\xc3A"');
  // overlong, a surrogate, beyond the last character, cut off
  for (
    const bytes of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82], [0xf0, 0x80, 0x80, 0x80]]
  ) {
    const expected = bytes.map((byte) => `\\x${byte.toString(16)}`).join("");
    assert.equal(quoteBytes(new Uint8Array(bytes), 100), `"${expected}"`);
  }
});

test("A-051 controls, also those of C1 and of bidirectional text, are escaped", () => {
  assert.equal(quoteText("\x1b]0;x\x07\b\r\n\t\x7f", 100), '"\\x1b]0;x\\x07\\x08\\r\\n\\t\\x7f"');
  assert.equal(escapeControls("\u009b\u202e\u2066\u2028\ufeff\ud800"), "\\u009b\\u202e\\u2066\\u2028\\ufeff\\ud800");
  // a character U+009B and a byte 0x9b are not the same
  assert.equal(quoteBytes(new Uint8Array([0x9b]), 100), '"\\x9b"');
  assert.equal(quoteText("\u009b", 100), '"\\u009b"');
});

test("long text is cut, and tells its length in bytes", () => {
  assert.equal(quoteText("abcdef", 3), '"abc"… (6 bytes)');
  assert.equal(quoteText("abc", 3), '"abc"');
  assert.equal(quoteText("", 0), '""');
});

test("A-051 whatever the bytes, no control is left", () => {
  const seed = 1;
  const random = seededRandom(seed);
  for (let round = 0; round < 2000; round++) {
    const bytes = random.bytes(random.below(40));
    const quoted = quoteBytes(bytes, 1000);
    for (const character of quoted) {
      assert.ok(!isUnprintable(character.codePointAt(0)!), `seed ${seed}, round ${round}: ${JSON.stringify(quoted)}`);
    }
  }
});
