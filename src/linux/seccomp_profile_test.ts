import { test } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { ALL_CAPABILITIES, capabilitySet, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import { compilePolicies } from "./seccomp_compile.ts";
import { evaluatePolicy, type Policy } from "./seccomp_policy.ts";
import { type ProfileTarget, readSeccompProfile, SeccompProfileError } from "./seccomp_profile.ts";

const TARGET: ProfileTarget = { arch: "x86_64", capabilities: DEFAULT_CAPABILITIES, kernel: [6, 1] };
const EPERM = retErrno(1);

function read(profile: unknown, target: ProfileTarget = TARGET): Policy {
  const { policy } = readSeccompProfile(JSON.stringify(profile), target);
  assert.ok(policy !== undefined);
  return policy;
}

function answer(profile: unknown, call: string, args: bigint[] = [], target: ProfileTarget = TARGET): number {
  return evaluatePolicy(read(profile, target), call, args);
}

test("names, actions and errnos are read", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 38,
    syscalls: [
      { names: ["read", "no_such_call"], action: "SCMP_ACT_ALLOW" },
      { name: "write", action: "SCMP_ACT_ERRNO", errnoRet: 13 },
      { names: ["fork"], action: "SCMP_ACT_ERRNO" },
      { names: ["open"], action: "SCMP_ACT_KILL_PROCESS", args: null, comment: "x", includes: {}, excludes: {} },
      { names: ["stat"], action: "SCMP_ACT_TRACE", errnoRet: 5 },
      { names: ["lstat"], action: "SCMP_ACT_KILL" },
    ],
  };
  assert.equal(answer(profile, "read"), RET.ALLOW);
  assert.equal(answer(profile, "write"), retErrno(13));
  assert.equal(answer(profile, "fork"), EPERM);
  assert.equal(answer(profile, "open"), RET.KILL_PROCESS);
  assert.equal(answer(profile, "stat"), RET.TRACE | 5);
  assert.equal(answer(profile, "lstat"), RET.KILL_THREAD);
  assert.equal(answer(profile, "close"), retErrno(38));
});

test("conditions of one rule must all hold, but an argument that is named twice makes two rules", () => {
  const arg = (index: number, op: string, value: number, valueTwo = 0): unknown => ({ index, op, value, valueTwo });
  const rule = (...args: unknown[]): unknown => ({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: ["socket"], action: "SCMP_ACT_ALLOW", args }],
  });
  const both = rule(arg(0, "SCMP_CMP_EQ", 2), arg(1, "SCMP_CMP_GT", 3));
  assert.equal(answer(both, "socket", [2n, 4n]), RET.ALLOW);
  assert.equal(answer(both, "socket", [2n, 3n]), EPERM);
  assert.equal(answer(both, "socket", [1n, 4n]), EPERM);
  const either = rule(arg(0, "SCMP_CMP_LT", 38), arg(0, "SCMP_CMP_GT", 40));
  assert.equal(answer(either, "socket", [1n]), RET.ALLOW);
  assert.equal(answer(either, "socket", [39n]), EPERM);
  assert.equal(answer(either, "socket", [41n]), RET.ALLOW);
  const masked = rule(arg(0, "SCMP_CMP_MASKED_EQ", 0xf0, 0x10));
  assert.equal(answer(masked, "socket", [0x1fn]), RET.ALLOW);
  assert.equal(answer(masked, "socket", [0x2fn]), EPERM);
});

test("64-bit values keep their last bit", () => {
  const text = (value: string): string =>
    `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["ioctl"],"action":"SCMP_ACT_ERRNO",
      "args":[{"index":1,"value":${value},"op":"SCMP_CMP_EQ"}]}]}`;
  const { policy } = readSeccompProfile(text("18446744073709551615"), TARGET);
  assert.equal(evaluatePolicy(policy!, "ioctl", [0n, 0xffff_ffff_ffff_ffffn]), EPERM);
  assert.equal(evaluatePolicy(policy!, "ioctl", [0n, 0xffff_ffff_ffff_fffen]), RET.ALLOW);
  for (const value of ["18446744073709551616", "-1", "1.5", "1e3", '"1"']) {
    assert.throws(() => readSeccompProfile(text(value), TARGET), SeccompProfileError, value);
  }
});

test("rules are kept or left out by capability, architecture and kernel", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["clone"], action: "SCMP_ACT_ALLOW", excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["acct"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN", "CAP_SYS_PACCT"] } },
      { names: ["arch_prctl"], action: "SCMP_ACT_ALLOW", includes: { arches: ["amd64", "x32"] } },
      { names: ["brk"], action: "SCMP_ACT_ALLOW", excludes: { arches: ["arm64"] } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
      { names: ["bpf"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "6.2" } },
      { names: ["kill"], action: "SCMP_ACT_ALLOW", excludes: { minKernel: "5.0" } },
    ],
  };
  const admin = { ...TARGET, capabilities: capabilitySet(["SYS_ADMIN"]) };
  assert.equal(answer(profile, "mount"), EPERM);
  assert.equal(answer(profile, "mount", [], admin), RET.ALLOW);
  assert.equal(answer(profile, "clone"), RET.ALLOW);
  assert.equal(answer(profile, "clone", [], admin), EPERM);
  assert.equal(answer(profile, "acct", [], admin), EPERM);
  assert.equal(answer(profile, "acct", [], { ...TARGET, capabilities: ALL_CAPABILITIES }), RET.ALLOW);
  assert.equal(answer(profile, "arch_prctl"), RET.ALLOW);
  assert.equal(answer(profile, "brk", [], { ...TARGET, arch: "aarch64" }), EPERM);
  assert.equal(answer(profile, "ptrace"), RET.ALLOW);
  assert.equal(answer(profile, "ptrace", [], { ...TARGET, kernel: [4, 4] }), EPERM);
  assert.equal(answer(profile, "bpf"), EPERM);
  assert.equal(answer(profile, "kill"), EPERM);
});

test("of several rules that match, the most restrictive one counts", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      { names: ["socket"], action: "SCMP_ACT_ALLOW" },
      { names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: 97, args: [{ index: 0, value: 38, op: "SCMP_CMP_EQ" }] },
    ],
  };
  assert.equal(answer(profile, "socket", [38n]), retErrno(97));
  assert.equal(answer(profile, "socket", [2n]), RET.ALLOW);
});

test("an empty profile is none", () => {
  assert.equal(readSeccompProfile("{}", TARGET).policy, undefined);
  assert.equal(readSeccompProfile(`{"defaultAction":"","syscalls":[]}`, TARGET).policy, undefined);
});

test("flags are read, and what they say about threads is left out", () => {
  const read = (flags: unknown): number | undefined =>
    readSeccompProfile(JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", flags }), TARGET).flags;
  assert.equal(read(undefined), undefined);
  assert.equal(read([]), 0);
  assert.equal(read(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]), 2);
  assert.throws(() => read(["SECCOMP_FILTER_FLAG_NEW"]), SeccompProfileError);
});

test("what cannot be used is refused with the field's name", () => {
  const allow = "SCMP_ACT_ALLOW";
  const bad: [unknown, RegExp][] = [
    [[], /the profile is not an object/],
    [{ defaultAction: "ALLOW" }, /defaultAction is no action/],
    [{ defaultAction: "SCMP_ACT_NOTIFY", syscalls: [] }, /nobody would answer/],
    [{ defaultAction: allow, listenerPath: "/x" }, /"listenerPath"/],
    [{ defaultAction: allow, architectures: ["SCMP_ARCH_X86_64"], archMap: [{}] }, /cannot both/],
    [{ defaultAction: allow, syscalls: {} }, /syscalls is not a list/],
    [{ defaultAction: allow, syscalls: [{ names: ["a"] }] }, /syscalls\[0\].action/],
    [{ defaultAction: allow, syscalls: [{ name: "a", names: ["b"], action: allow }] }, /both "name" and "names"/],
    [{ defaultAction: allow, syscalls: [{ names: [1], action: allow }] }, /holds no names/],
    [
      { defaultAction: allow, syscalls: [{ names: ["a"], action: allow, args: [{ index: 6, op: "SCMP_CMP_EQ" }] }] },
      /index/,
    ],
    [{ defaultAction: allow, syscalls: [{ names: ["a"], action: allow, args: [{ index: 1, op: "EQ" }] }] }, /\.op/],
    [{ defaultAction: allow, syscalls: [{ names: ["a"], action: "SCMP_ACT_ERRNO", errnoRet: 4096 }] }, /above 4095/],
    [{ defaultAction: allow, syscalls: [{ names: ["a"], action: allow, includes: { minKernel: "x" } }] }, /minKernel/],
  ];
  for (const [profile, message] of bad) {
    assert.throws(() => readSeccompProfile(JSON.stringify(profile), TARGET), message);
  }
  assert.throws(() => readSeccompProfile("{", TARGET), /it is not JSON/);
  assert.throws(() => readSeccompProfile(" ".repeat(2 ** 20 + 1), TARGET), /longer than/);
});

test("A-020 whatever the bytes, a profile is read or refused by its own error", () => {
  const good = JSON.stringify({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: null }],
    syscalls: [{
      names: ["clone", "__proto__"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 2114060288, op: "SCMP_CMP_MASKED_EQ" }],
      excludes: { caps: ["CAP_SYS_ADMIN"], arches: ["s390"] },
    }],
  });
  const replacements = ["null", "{}", "[]", '""', "-1", "1e400", "9".repeat(40), "true", '"__proto__"'];
  const pieces = good.split(/(?<=[:,[{])/);
  let usable = 0;
  for (let index = 0; index < pieces.length; index++) {
    for (const replacement of replacements) {
      const text = pieces.with(index, replacement + pieces[index]!.slice(-1)).join("");
      try {
        readSeccompProfile(text, TARGET);
        usable++;
      } catch (error) {
        assert.ok(error instanceof SeccompProfileError, text);
      }
    }
  }
  assert.ok(usable > 0);
  for (const depth of ["[", '{"syscalls":']) {
    assert.throws(() => readSeccompProfile(depth.repeat(50_000), TARGET), SeccompProfileError);
    const closed = depth.repeat(50_000) + "1" + (depth === "[" ? "]" : "}").repeat(50_000);
    assert.throws(() => readSeccompProfile(closed, TARGET), SeccompProfileError);
  }
});

const INSTALLED = "/usr/share/containers/seccomp.json";
test("the profile of containers-common, where it is installed, compiles", { skip: !existsSync(INSTALLED) }, () => {
  const text = readFileSync(INSTALLED, "utf8");
  for (const arch of ["x86_64", "aarch64"] as const) {
    const { policy } = readSeccompProfile(text, { ...TARGET, arch });
    assert.ok(compilePolicies({ arch, policies: [policy!], foreign: "refuse" }).length > 0);
    assert.equal(evaluatePolicy(policy!, "read", []), RET.ALLOW);
    assert.equal(evaluatePolicy(policy!, "bpf", []), EPERM);
  }
});
