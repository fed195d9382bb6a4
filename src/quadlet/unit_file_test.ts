import assert from "node:assert/strict";
import { test } from "node:test";
import { DugoutError } from "#oci/error.ts";
import { seededRandom } from "../../tests/support/random.ts";
import { lastEntry, listEntries, mergeUnit, parseUnitFile, printUnitFile } from "./unit_file.ts";

const keysOf = (text: string, section = "S") =>
  (parseUnitFile("f", text).get(section) ?? []).map(({ key, value, line }) => `${line} ${key}=${value}`);

test("sections hold keys with their values as they stand", () => {
  assert.deepEqual(keysOf("[S]\nA = b  c \nB=\nC==x\r\n  D=e\n"), ["2 A=b  c", "3 B=", "4 C==x", "5 D=e"]);
});

test("comments and empty lines are passed over, a section that is opened twice is one", () => {
  assert.deepEqual(keysOf("# a\n; b\n\n[S]\nA=1\n[T]\nA=2\n[S]\nA=3 # no comment\n"), ["5 A=1", "9 A=3 # no comment"]);
});

test("a line goes on behind a backslash, also over comments", () => {
  assert.deepEqual(keysOf("[S]\nA=b \\\n# not this\n  c\\\nd\nE=f\\"), ["2 A=b    c d", "6 E=f"]);
});

test("what is no unit file is an error that names the line", () => {
  for (
    const [text, line] of [
      ["A=1", 1],
      ["[S]\nwords", 2],
      ["[S", 1],
      ["[]", 1],
      ["[S]\n=x", 2],
      ["[S]\nA B=x", 2],
      ["[S\x01]\n", 1],
    ] as const
  ) {
    assert.throws(() => parseUnitFile("f", text), (error) => {
      assert.ok(error instanceof DugoutError && error.message.startsWith(`f:${line}: `), String(error));
      return true;
    });
  }
  assert.throws(() => parseUnitFile("f", "[S]\nA=\0"), /NUL/);
  assert.throws(() => parseUnitFile("f", "#".repeat(1024 * 1024 + 1)), /more than/);
  assert.throws(() => parseUnitFile("f", "[S]\n" + "A=1\n".repeat(10_001)), /more than/);
});

test("of values that stand alone the last one counts; an empty one takes a list back", () => {
  const unit = parseUnitFile("f", "[S]\nA=1\nA=2\nA=\nA=3\nA=4\n");
  assert.equal(lastEntry(unit.get("S")!, "A")?.value, "4");
  assert.deepEqual(listEntries(unit.get("S")!, "A").map(({ value }) => value), ["3", "4"]);
});

test("a drop-in comes behind the file", () => {
  const unit = parseUnitFile("f", "[S]\nA=1\n");
  mergeUnit(unit, parseUnitFile("g", "[S]\nA=2\n[T]\nB=3\n"));
  assert.deepEqual(unit.get("S")!.map(({ path, value }) => `${path} ${value}`), ["f 1", "g 2"]);
  assert.equal(unit.get("T")!.length, 1);
});

test("whatever the text, it is read or refused with our own error, and what was read is printed so that it reads the same", () => {
  const seed = Number(process.env["FUZZ_SEED"] ?? 5);
  const random = seededRandom(seed).fraction;
  const pieces = ["[S]", "[T", "\n", "A=b", "\\", "#", ";", "=", " ", '"', "\r", "\u2028", "\x07", "%h", "é", "X-Y=1"];
  for (let round = 0; round < 3000; round++) {
    let text = "";
    for (let at = random() * 30; at > 0; at--) text += pieces[Math.floor(random() * pieces.length)];
    try {
      const unit = parseUnitFile("f", text);
      const again = parseUnitFile("f", printUnitFile(unit));
      const plain = (one: typeof unit) =>
        [...one].map(([name, entries]) => [name, entries.map((e) => [e.key, e.value])]);
      assert.deepEqual(plain(again), plain(unit), `seed ${seed}: ${JSON.stringify(text)}`);
    } catch (error) {
      if (!(error instanceof DugoutError)) throw new Error(`seed ${seed}: ${JSON.stringify(text)}`, { cause: error });
    }
  }
});
