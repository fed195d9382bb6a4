import { test } from "node:test";
import assert from "node:assert/strict";
import { OsError } from "#linux/errno.ts";
import { canFail, injectFailure } from "./inject.ts";
import { playTape } from "./play.ts";
import { compute, jumpTo, mark, operate, type Step, step, type Tape } from "./step.ts";

const TAPE: Tape = {
  steps: [
    step("getpid", [], "ask for", "the pid", { id: "pid", hints: { EPERM: "ask somebody else" } }),
    compute("add", { result: "pid" }, 1, "add one"),
    step("getpid", [], "try", "this", { ignore: true }),
    step("getpid", [], "try", "that", { jump: { when: "error", to: "otherwise" } }),
    jumpTo("end", "all is well"),
    mark("otherwise", "otherwise"),
    step("getppid", [], "ask for", "the parent", { retry: true }),
    mark("end", "end"),
  ],
  buffers: new Map(),
  errorFd: 4,
};

test("every step of a tape can be made to fail, and is told by its own label, object and hint", () => {
  TAPE.steps.forEach((failing: Step, index) => {
    const tape = injectFailure(TAPE, index, 1);
    const handled = failing.ignore === true || failing.jump?.when === "error";
    // the parent is asked for only on the way of an error
    if (handled || index === 5 || index === 6) {
      playTape(tape);
      return;
    }
    assert.throws(() => playTape(tape), (error: unknown) => {
      assert.ok(error instanceof OsError);
      assert.equal(error.call, failing.label);
      assert.equal(error.object, failing.object ?? "");
      assert.equal(error.code, "EPERM");
      assert.equal(error.hint, failing.hints?.["EPERM"]);
      return true;
    });
  });
});

test("only the step changes, and neither its id nor what is told about it", () => {
  const tape = injectFailure(TAPE, 0, 5);
  assert.deepEqual(tape.steps.slice(1), TAPE.steps.slice(1));
  assert.deepEqual(
    tape.steps[0],
    operate("fail", [5], "ask for", { object: "the pid", id: "pid", hints: { EPERM: "ask somebody else" } }),
  );
  assert.equal(TAPE.steps[0]!.call, "getpid");
});

test("failures after one another are two failures", () => {
  assert.throws(() => playTape(injectFailure(injectFailure(TAPE, 3, 2), 6, 13)), /ask for the parent: EACCES/);
});

test("a failure that cannot be is refused", () => {
  for (const index of [-1, 8, 0.5, NaN]) assert.throws(() => injectFailure(TAPE, index, 1), RangeError);
  for (const errno of [0, -1, 4096, 1.5, NaN]) assert.throws(() => injectFailure(TAPE, 0, errno), RangeError);
  assert.throws(() => injectFailure(TAPE, 6, 4), /for ever/);
});

test("system calls can fail, sums and jumps cannot", () => {
  assert.deepEqual(TAPE.steps.map(canFail), [true, false, true, true, false, false, true, false]);
  assert.ok(canFail(operate("fail", [1], "fail")));
});
