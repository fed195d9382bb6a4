import { test } from "node:test";
import assert from "node:assert/strict";
import { jumpTo, mark, type Step, step } from "./step.ts";
import { findUnsetResults } from "./unset.ts";

function find(...steps: Step[]) {
  return findUnsetResults({ steps, buffers: new Map(), errorFd: 4 });
}

const open = (id: string, options: Partial<Step> = {}) => step("dup", [5], "copy", "", { id, ...options });
const use = (id: string) => step("close", [{ result: id }], "close", id);

test("a result that every way has made is there", () => {
  assert.deepEqual(find(), []);
  assert.deepEqual(find(open("a"), use("a")), []);
  assert.deepEqual(
    find(
      mark("again", "loop"),
      open("a"),
      use("a"),
      step("read", [0], "read", "", { jump: { when: "nonzero", to: "again" } }),
    ),
    [],
  );
});

test("a result whose step was jumped over is found", () => {
  const skip = step("getpid", [], "ask", "", { jump: { when: "error", to: "there" } });
  assert.deepEqual(find(skip, open("a"), mark("there", "there"), use("a")), [{ index: 3, result: "a" }]);
  // not where that way ends, or does not use it
  assert.deepEqual(find(skip, open("a"), use("a"), step("exit_group", [0], "exit"), mark("there", "there")), []);
});

test("a result that only the child of a fork makes is none of the parent's", () => {
  const fork = step("clone", [17, 0, 0, 0, 0], "fork", "", { id: "fork", jump: { when: "zero", to: "child" } });
  assert.deepEqual(
    find(fork, jumpTo("end", "go"), mark("child", "child"), open("a"), use("fork"), mark("end", "end"), use("a")),
    [{ index: 6, result: "a" }],
  );
});

test("what is never played is not complained about", () => {
  assert.deepEqual(find(jumpTo("end", "go"), use("nobody"), mark("end", "end")), []);
});
