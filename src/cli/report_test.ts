import assert from "node:assert/strict";
import { test } from "node:test";
import { OsError } from "#linux/errno.ts";
import { DugoutError } from "#oci/error.ts";
import { PipeClosedError } from "./output.ts";
import { describeError } from "./report.ts";

const AS_PULL = { failureExitCode: 1, debug: false };
const AS_RUN = { failureExitCode: 125, debug: false };

test("an error for users is one line and its advice", () => {
  const error = new DugoutError("IMAGE_UNKNOWN", 'No such image: "x"', { hint: "pull it\nor load it" });
  assert.deepEqual(describeError(error, AS_RUN), {
    text: 'dugout: No such image: "x"\n  pull it\n  or load it\n',
    exitCode: 125,
  });
  const refused = new OsError({ call: "mount", object: "/proc", code: "EPERM" });
  assert.deepEqual(describeError(refused, AS_RUN), {
    text: "dugout: mount /proc: EPERM: Operation not permitted\n",
    exitCode: 125,
  });
});

test("the exit code is the error's own, but the general 125 is docker's 1 where no container's code could be meant", () => {
  const cases: [string, number | undefined, number, number][] = [
    ["IMAGE_UNKNOWN", undefined, 1, 125],
    ["EXEC_FAILED", 127, 127, 127],
    ["IMAGE_IN_USE", 1, 1, 1],
    ["USAGE", 125, 125, 125],
    ["FLAG_REFUSED", undefined, 125, 125],
    ["NOT_YET", 125, 125, 125],
  ];
  for (const [code, exitCode, asPull, asRun] of cases) {
    const error = new DugoutError(code, "x", { exitCode });
    assert.equal(describeError(error, AS_PULL).exitCode, asPull, code);
    assert.equal(describeError(error, AS_RUN).exitCode, asRun, code);
  }
});

test("a bug of ours says that it is one, without a stack", () => {
  const { text, exitCode } = describeError(new TypeError("x is not a function"), AS_PULL);
  assert.equal(exitCode, 125);
  assert.equal(
    text,
    "dugout: internal error: TypeError: x is not a function\n  this is a bug in dugout; please report it with what '--debug' adds\n",
  );
  assert.match(describeError("thrown text", AS_PULL).text, /^dugout: internal error: thrown text\n/);
  const wrongUse = Object.assign(new TypeError("bad"), { code: "ERR_INVALID_ARG_TYPE" });
  assert.match(describeError(wrongUse, AS_PULL).text, /internal error/);
});

test("--debug adds where it came from, and what caused it", () => {
  const error = new DugoutError("X", "outer", { cause: new Error("inner") });
  const { text } = describeError(error, { ...AS_RUN, debug: true });
  assert.match(text, /^dugout: outer\n {2}at:\n/);
  assert.match(text, /\n {2}caused by:\n {4}.*inner/);
});

test("A-051 control characters of messages, advice and causes are escaped", () => {
  const hostile = "a\x1b[2J\x9b\u202e\r";
  const error = new DugoutError("X", hostile, { hint: `${hostile}\n${hostile}`, cause: new Error(hostile) });
  const { text } = describeError(error, { ...AS_RUN, debug: true });
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});

test("a reader that has gone ends a command quietly", () => {
  assert.deepEqual(describeError(new PipeClosedError(), AS_PULL), { text: "", exitCode: 141 });
});
