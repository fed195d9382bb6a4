import { test } from "node:test";
import assert from "node:assert/strict";
import { runProgram } from "./bpf_machine.ts";
import {
  assemble,
  BPF,
  type BpfNode,
  decodeProgram,
  encodeProgram,
  MAX_INSTRUCTIONS,
  RET,
  retErrno,
  SECCOMP_DATA,
} from "./seccomp_bpf.ts";

const allow: BpfNode = { kind: "return", value: RET.ALLOW };
const refuse: BpfNode = { kind: "return", value: retErrno(1) };

function run(node: BpfNode, nr: number): number {
  return runProgram(encodeProgram(assemble(node)), { arch: 0, nr, args: [] }).value;
}

/** nr === 0 ? 0 : nr === 1 ? 1 … as errno, then allow: the first comparisons are far from the last answers. */
function ladder(length: number): BpfNode {
  let node = allow;
  for (let value = length - 1; value >= 0; value--) {
    node = { kind: "branch", op: BPF.EQ, value, yes: { kind: "return", value: retErrno(value) }, no: node };
  }
  return { kind: "load", offset: SECCOMP_DATA.nr, next: node };
}

test("a program is one instruction of 8 bytes after another, little-endian", () => {
  const bytes = encodeProgram(assemble({
    kind: "load",
    offset: SECCOMP_DATA.nr,
    next: { kind: "branch", op: BPF.EQ, value: 0x01020304, yes: refuse, no: allow },
  }));
  assert.deepEqual([...bytes.subarray(0, 16)], [0x20, 0, 0, 0, 0, 0, 0, 0, 0x15, 0, 1, 0, 4, 3, 2, 1]);
  assert.deepEqual([...encodeProgram(decodeProgram(bytes))], [...bytes]);
});

test("jumps further than 255 instructions are gone around", () => {
  // both sides of the first branch are long, and share their last answers
  const shared = ladder(300);
  const root: BpfNode = {
    kind: "load",
    offset: SECCOMP_DATA.nr,
    next: {
      kind: "branch",
      op: BPF.GE,
      value: 1000,
      yes: { kind: "branch", op: BPF.EQ, value: 5000, yes: shared, no: refuse },
      no: shared,
    },
  };
  assert.equal(run(root, 0), retErrno(0));
  assert.equal(run(root, 299), retErrno(299));
  assert.equal(run(root, 300), RET.ALLOW);
  assert.equal(run(root, 1000), refuse.kind === "return" ? refuse.value : 0);
  assert.equal(run(root, 5000), RET.ALLOW);
  for (const { code, jt, jf } of assemble(root)) {
    if (code === BPF.EQ || code === BPF.GE) assert.ok(jt <= 255 && jf <= 255);
  }
});

test("a shared node is laid out once", () => {
  const shared: BpfNode = { kind: "load", offset: SECCOMP_DATA.args, next: allow };
  const root: BpfNode = {
    kind: "branch",
    op: BPF.EQ,
    value: 1,
    yes: shared,
    no: { kind: "and", mask: 1, next: shared },
  };
  assert.equal(assemble(root).filter(({ code }) => code === BPF.LOAD).length, 1);
});

test("a program that the kernel would refuse for its length is refused here", () => {
  assert.equal(assemble(ladder(1000)).length < MAX_INSTRUCTIONS, true);
  assert.throws(() => assemble(ladder(3000)), /more than 4096 instructions/);
});
