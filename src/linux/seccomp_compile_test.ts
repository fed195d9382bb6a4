import { test } from "node:test";
import assert from "node:assert/strict";
import { runProgram } from "./bpf_machine.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import { compilePolicies } from "./seccomp_compile.ts";
import { type Comparison, type Condition, evaluatePolicy, permits, type Policy, type Rule } from "./seccomp_policy.ts";
import { type Arch, SYSCALLS } from "./syscall_numbers.ts";
import { seededRandom } from "../../tests/support/random.ts";

const NATIVE: Record<Arch, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const ARCHES: Arch[] = ["x86_64", "aarch64"];
const EPERM = retErrno(1);
const ENOSYS = retErrno(38);

const pick = <T>(random: () => number, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

/** Values around which comparisons turn. */
const EDGES = [0n, 1n, 2n, 0x5412n, 0x7fffffffn, 0x80000000n, 0xfffffffen, 0xffffffffn, 0x100000000n, 0x100000001n]
  .concat([0xffffffff00000000n, 0xfffffffffffffffen, 0xffffffffffffffffn, 0x7fffffffffffffffn]);

function randomPolicy(random: () => number, calls: readonly string[]): Policy {
  const actions = [
    RET.ALLOW,
    RET.LOG,
    EPERM,
    ENOSYS,
    retErrno(0),
    RET.TRAP,
    RET.KILL_PROCESS,
    RET.KILL_THREAD,
    RET.TRACE | 7,
  ];
  const rules: Rule[] = [];
  for (let count = Math.floor(random() * 40); count > 0; count--) {
    const conditions: Condition[] = [];
    while (random() < 0.55) {
      const compare = pick<Comparison>(random, ["eq", "ne", "lt", "le", "gt", "ge", "masked"]);
      conditions.push({
        index: Math.floor(random() * 6),
        width: random() < 0.5 ? 32 : 64,
        compare,
        value: pick(random, EDGES),
        ...(compare === "masked" ? { mask: pick(random, EDGES) } : {}),
      });
    }
    rules.push({ call: pick(random, calls), conditions, action: pick(random, actions) });
  }
  const defaultAction = pick(random, actions);
  return { rules, defaultAction, unknownAction: permits(defaultAction) ? defaultAction : ENOSYS };
}

/** The obviously right answer of several policies: the first that does not permit. */
function evaluateAll(policies: readonly Policy[], call: string, args: readonly bigint[]): number {
  let logged = false;
  for (const policy of policies) {
    const answer = evaluatePolicy(policy, call, args);
    if (!permits(answer)) return answer;
    logged ||= answer === RET.LOG;
  }
  return logged ? RET.LOG : RET.ALLOW;
}

test("compiled policies answer as the policies say, for random policies and calls", () => {
  const random = seededRandom(20261125).fraction;
  for (let round = 0; round < 150; round++) {
    const arch = pick(random, ARCHES);
    // numbers from 424 on are ordered by age and have a test of their own
    const calls = [...SYSCALLS[arch]].filter(([, number]) => number < 424).map(([name]) => name);
    const used = Array.from({ length: 6 }, () => pick(random, calls));
    const policies = Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomPolicy(random, used));
    const program = compilePolicies({ arch, policies, foreign: "refuse" });
    for (let probe = 0; probe < 120; probe++) {
      const call = random() < 0.8 ? pick(random, used) : pick(random, calls);
      const args = Array.from({ length: 6 }, () => pick(random, EDGES) + (random() < 0.2 ? 1n : 0n));
      const { value } = runProgram(program, { arch: NATIVE[arch], nr: SYSCALLS[arch].get(call)!, args });
      const expected = evaluateAll(policies, call, args.map((arg) => BigInt.asUintN(64, arg)));
      // which of two answers that both let the call happen is told is not promised for several policies
      if (permits(expected) && policies.length > 1) assert.ok(permits(value), `round ${round}: ${call}`);
      else assert.equal(value, expected, `round ${round}: ${arch} ${call}(${args})`);
    }
  }
});

test("every call of the table is found, and no other number is", () => {
  for (const arch of ARCHES) {
    const rules = [...SYSCALLS[arch]].map(([call, number]): Rule => ({
      call,
      conditions: [],
      action: retErrno(number),
    }));
    const policy: Policy = { rules, defaultAction: RET.ALLOW, unknownAction: ENOSYS };
    const program = compilePolicies({ arch, policies: [policy], foreign: "refuse" });
    const numbers = new Set(SYSCALLS[arch].values());
    for (let nr = 0; nr < 1000; nr++) {
      const { value } = runProgram(program, { arch: NATIVE[arch], nr, args: [] });
      assert.equal(value, numbers.has(nr) ? retErrno(nr) : ENOSYS, `${arch} ${nr}`);
    }
    for (const nr of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      assert.equal(runProgram(program, { arch: NATIVE[arch], nr, args: [] }).value, ENOSYS);
    }
  }
});

test("the search for a call is short", () => {
  for (const arch of ARCHES) {
    const rules = [...SYSCALLS[arch]].map(([call, number]): Rule => ({
      call,
      conditions: [],
      action: retErrno(number),
    }));
    const policy: Policy = { rules, defaultAction: RET.ALLOW, unknownAction: ENOSYS };
    const program = compilePolicies({ arch, policies: [policy], foreign: "refuse" });
    for (const nr of SYSCALLS[arch].values()) {
      assert.ok(runProgram(program, { arch: NATIVE[arch], nr, args: [] }).steps <= 20);
    }
  }
});

test("A-038 calls of another ABI are refused", () => {
  const everything: Policy = { rules: [], defaultAction: RET.ALLOW, unknownAction: RET.ALLOW };
  const x86 = compilePolicies({ arch: "x86_64", policies: [everything], foreign: "refuse" });
  assert.equal(runProgram(x86, { arch: NATIVE.x86_64, nr: 0, args: [] }).value, RET.ALLOW);
  // x32: as a kernel without it answers
  for (const nr of [0x40000000, 0x40000000 + 16, 0x40000000 + 520]) {
    assert.equal(runProgram(x86, { arch: NATIVE.x86_64, nr, args: [] }).value, ENOSYS);
  }
  for (const arch of [0x40000003, NATIVE.aarch64, 0, 0xffffffff]) {
    assert.equal(runProgram(x86, { arch, nr: 0, args: [] }).value, RET.KILL_PROCESS);
  }
  const arm = compilePolicies({ arch: "aarch64", policies: [everything], foreign: "refuse" });
  for (const arch of [0x40000028, NATIVE.x86_64]) {
    assert.equal(runProgram(arm, { arch, nr: 63, args: [] }).value, RET.KILL_PROCESS);
  }
});

test("A-038 calls newer than those a profile speaks of give ENOSYS, so that programs fall back", () => {
  const policy: Policy = {
    rules: [{ call: "openat2", conditions: [], action: RET.ALLOW }],
    defaultAction: EPERM,
    unknownAction: ENOSYS,
  };
  const program = compilePolicies({ arch: "x86_64", policies: [policy], foreign: "refuse" });
  const answer = (nr: number): number => runProgram(program, { arch: NATIVE.x86_64, nr, args: [] }).value;
  assert.equal(answer(437), RET.ALLOW);
  assert.equal(answer(436), EPERM);
  assert.equal(answer(435), EPERM);
  assert.equal(answer(438), ENOSYS);
  assert.equal(answer(470), ENOSYS);
  assert.equal(answer(400), ENOSYS);
  assert.equal(answer(165), EPERM);
});

test("a policy of too many conditions is refused, not cut", () => {
  const rules = Array.from({ length: 5000 }, (_, index): Rule => ({
    call: "ioctl",
    conditions: [{ index: 1, width: 64, compare: "eq", value: BigInt(index) }],
    action: RET.ALLOW,
  }));
  const policy: Policy = { rules, defaultAction: EPERM, unknownAction: EPERM };
  assert.throws(() => compilePolicies({ arch: "x86_64", policies: [policy], foreign: "refuse" }), RangeError);
  const fewer: Policy = { ...policy, rules: rules.slice(0, 1000) };
  const program = compilePolicies({ arch: "x86_64", policies: [fewer], foreign: "refuse" });
  assert.equal(runProgram(program, { arch: NATIVE.x86_64, nr: 16, args: [0n, 999n] }).value, RET.ALLOW);
  assert.equal(runProgram(program, { arch: NATIVE.x86_64, nr: 16, args: [0n, 1000n] }).value, EPERM);
});
