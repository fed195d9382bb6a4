import { test } from "node:test";
import assert from "node:assert/strict";
import { constants } from "node:os";
import { parseSignal, signalName, SIGNALS } from "./signals.ts";

test("a signal is found by name, by prefixed name and by number", () => {
  for (const text of ["TERM", "SIGTERM", "term", "SigTerm", "15", "0015"]) assert.equal(parseSignal(text), 15, text);
  assert.equal(parseSignal("KILL"), 9);
  assert.equal(parseSignal("SIGCLD"), 17);
  assert.equal(parseSignal("poll"), 29);
  assert.equal(SIGNALS.WINCH, 28);
});

test("real-time signals count from either end", () => {
  assert.equal(parseSignal("RTMIN"), 34);
  assert.equal(parseSignal("SIGRTMIN+3"), 37);
  assert.equal(parseSignal("rtmax-1"), 63);
  assert.equal(parseSignal("RTMIN+30"), 64);
  assert.equal(parseSignal("RTMAX-30"), 34);
  for (const text of ["RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+x", "RT"]) {
    assert.equal(parseSignal(text), undefined, text);
  }
});

test("what is no signal is not taken for one", () => {
  const texts = [
    "",
    "0",
    "65",
    "-1",
    "+9",
    "1.5",
    "SIG",
    "SIGSIGTERM",
    " TERM",
    "TERM\n",
    "__proto__",
    "9".repeat(400),
    "１５",
  ];
  for (const text of texts) assert.equal(parseSignal(text), undefined, text);
});

test("each number's name is read back as that number", () => {
  for (let number = 1; number <= 64; number++) {
    if (number === 32 || number === 33) continue;
    assert.equal(parseSignal(signalName(number)), number);
  }
  assert.equal(signalName(15), "SIGTERM");
  assert.equal(signalName(36), "SIGRTMIN+2");
  assert.equal(signalName(33), "SIG33");
  assert.throws(() => signalName(0), RangeError);
  assert.throws(() => signalName(65), RangeError);
});

test("the numbers are those of this machine's C library", () => {
  for (const [name, number] of Object.entries(constants.signals)) {
    if (number <= 31) assert.equal(parseSignal(name), number, name);
  }
});
