import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../../tests/support/random.ts";
import { encodeCommand, encodeValue, encodeWord } from "./exec_line.ts";
import { splitWords } from "./words.ts";

/** What systemd makes of a literal word behind the split: specifiers, then variables. */
function expand(word: string): string {
  return word.replaceAll("%%", "%").replaceAll("$$", "$");
}

test("words are split as systemd splits them", () => {
  assert.deepEqual(splitWords(`a  "b c"\t'd "e' f\\ g`), ["a", "b c", 'd "e', "f\\ g"]);
  assert.deepEqual(splitWords(`"" a""b x"y z"`), ["", "ab", "xy z"]);
  assert.deepEqual(splitWords(`"\\n\\x41\\101\\u00e9\\s\\q\\$"`), ["\nAAé \\q\\$"]);
  assert.deepEqual(splitWords(""), []);
});

test("a quote that is not closed, and an escape for NUL or no character, make no words", () => {
  for (const text of ['"a', "'", "\\x00", "\\000", "\\ud800", "\\U00110000"]) {
    assert.equal(splitWords(text), undefined, text);
  }
});

test("A-089 a word of any text is one line, and comes out as it went in", () => {
  const seed = Number(process.env["FUZZ_SEED"] ?? 7);
  const random = seededRandom(seed).fraction;
  const pieces = [
    "a",
    " ",
    "\n",
    "\t",
    "\\",
    '"',
    "'",
    "%",
    "%h",
    "$",
    "${X}",
    "$$",
    ";",
    "é",
    "\x01",
    "\x7f",
    "\x85",
    "\u2028",
    "-",
  ];
  for (let round = 0; round < 5000; round++) {
    let word = "";
    for (let at = random() * 12; at > 0; at--) word += pieces[Math.floor(random() * pieces.length)];
    const line = encodeWord(word, "literal");
    const told = `seed ${seed}: ${JSON.stringify(word)} as ${line}`;
    assert.doesNotMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u2029]/, told);
    assert.deepEqual(splitWords(line)?.map(expand), [word], told);
  }
});

test("A-089 hostile values stay within their word", () => {
  const hostile = ["x\nExecStartPre=/bin/evil", "x\\", "%h", "$X", ";", "", "#", "'a", '"b', "a b"];
  const line = encodeCommand(["/bin/x", ...hostile], "literal");
  assert.equal(line.split("\n").length, 1);
  assert.deepEqual(splitWords(line)?.map(expand), ["/bin/x", ...hostile]);
  // a lone semicolon would part commands
  assert.match(line, / ";" /);
  assert.throws(() => encodeWord("a\0", "literal"), RangeError);
  assert.equal(encodeValue("a\n[Service]%h\\"), "a?[Service]%%h?");
});

test("an author's specifiers and variables are left to systemd", () => {
  assert.equal(encodeCommand(["run", "%h/a b", "$X"], "template"), 'run "%h/a b" $X');
});
