import { test } from "node:test";
import assert from "node:assert/strict";
import { branchDepths } from "./branches.ts";
import { jumpTo, mark, operate, type Step, step } from "./step.ts";

const exit = step("exit_group", [0], "exit");

function fork(id: string, when: "zero" | "nonzero", to: string): Step {
  return step("clone", [17, 0, 0, 0, 0], "fork", id, { id, jump: { when, to } });
}

test("what the child of a fork does lies deeper, what the parent does too does not", () => {
  const steps = [
    fork("f", "zero", "child"),
    step("getpid", [], "parent"),
    jumpTo("end", "go"),
    mark("child", "child"),
    mark("end", "end"),
  ];
  assert.deepEqual(branchDepths(steps), [0, 0, 0, 1, 0]);
});

test("a child that goes on while the parent jumps lies deeper as well", () => {
  const steps = [fork("f", "nonzero", "parent"), step("getpid", [], "child"), exit, mark("parent", "parent"), exit];
  assert.deepEqual(branchDepths(steps), [0, 1, 1, 0, 0]);
});

test("forks of a child lie deeper still", () => {
  const steps = [
    fork("a", "zero", "child"),
    exit,
    mark("child", "child"),
    fork("b", "zero", "grandchild"),
    exit,
    mark("grandchild", "grandchild"),
    step("execve", ["/x", { strings: [] }, { strings: [] }], "execute"),
    mark("not reached", "nobody comes here"),
  ];
  assert.deepEqual(branchDepths(steps), [0, 0, 1, 1, 1, 2, 2, 0]);
});

test("loops end, and jumps on errors and ends of a tape are ways too", () => {
  const steps = [
    mark("again", "again"),
    fork("f", "zero", "child"),
    jumpTo("again", "loop"),
    mark("child", "child"),
    step("execve", ["/x", { strings: [] }, { strings: [] }], "execute", "", { jump: { when: "error", to: "failed" } }),
    exit,
    mark("failed", "failed"),
    operate("fail", [2], "fail"),
    exit,
  ];
  assert.deepEqual(branchDepths(steps), [0, 0, 0, 1, 1, 0, 1, 1, 0]);
});
