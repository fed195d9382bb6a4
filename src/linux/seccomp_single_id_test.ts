import { test } from "node:test";
import assert from "node:assert/strict";
import { runProgram } from "./bpf_machine.ts";
import { DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import { planSeccomp, singleIdFilter } from "./seccomp.ts";
import { type Arch, SYSCALLS } from "./syscall_numbers.ts";

const NATIVE: Record<Arch, number> = { x86_64: 0xc000003e, aarch64: 0xc00000b7 };
const SUCCESS = retErrno(0);
const MINUS_ONE = 0xffff_ffffn;
/** What a caller's upper half may hold. */
const NOISE = 0xdead_beef_0000_0000n;

const PROGRAMS = (["x86_64", "aarch64"] satisfies Arch[]).map((arch) => {
  const merged = planSeccomp({
    arch,
    profile: "default",
    capabilities: DEFAULT_CAPABILITIES,
    kernel: [6, 1],
    singleId: true,
    guardTerminal: true,
  });
  return { arch, programs: [singleIdFilter(arch).program, merged!.program] };
});

/** Checks an answer on both architectures, in the filter of its own and in the one that is merged with the default. */
function expect(call: string, args: bigint[], answer: number): void {
  for (const { arch, programs } of PROGRAMS) {
    const nr = SYSCALLS[arch].get(call);
    if (nr === undefined) continue;
    for (const program of programs) {
      assert.equal(runProgram(program, { arch: NATIVE[arch], nr, args }).value, answer, `${arch} ${call}(${args})`);
    }
  }
}

test("C-082 giving a file to another owner seems to succeed", () => {
  for (const call of ["chown", "lchown", "fchown"]) {
    expect(call, [7n, 33n, 33n], SUCCESS);
    expect(call, [7n, 0n, 42n], SUCCESS);
    expect(call, [7n, 1000n, 0n], SUCCESS);
    expect(call, [7n, MINUS_ONE, 42n], SUCCESS);
  }
  expect("fchownat", [3n, 7n, 33n, 0n, 0n], SUCCESS);
  expect("fchownat", [3n, 7n, 0n, 33n, 0x1000n], SUCCESS);
});

test("C-082 giving a file to root happens, and can fail truly", () => {
  for (const call of ["chown", "lchown", "fchown"]) {
    expect(call, [7n, 0n, 0n], RET.ALLOW);
    expect(call, [7n, MINUS_ONE, MINUS_ONE], RET.ALLOW);
    expect(call, [7n, 0n, 0xffff_ffff_ffff_ffffn], RET.ALLOW);
  }
  expect("fchownat", [33n, 33n, 0n, 0n, 33n], RET.ALLOW);
});

test("C-082 becoming another user seems to succeed, becoming root does", () => {
  for (const call of ["setuid", "setgid"]) {
    expect(call, [33n], SUCCESS);
    expect(call, [0n], RET.ALLOW);
    // −1 is no id: EINVAL from the kernel
    expect(call, [MINUS_ONE], RET.ALLOW);
  }
  for (const call of ["setreuid", "setregid", "setresuid", "setresgid"]) {
    const count = call.includes("res") ? 3 : 2;
    for (let index = 0; index < count; index++) {
      expect(call, Array.from({ length: count }, (_, at) => at === index ? 65534n : MINUS_ONE), SUCCESS);
    }
    expect(call, Array(count).fill(0n), RET.ALLOW);
    expect(call, Array(count).fill(MINUS_ONE), RET.ALLOW);
  }
});

test("C-082 setgroups seems to succeed, as the kernel allows no list at all", () => {
  for (const count of [0n, 1n, 65536n]) expect("setgroups", [count, 7n], SUCCESS);
  expect("setgroups", [65537n, 7n], RET.ALLOW);
});

test("C-082 device nodes seem to be made; fifos, sockets, files and whiteouts are made", () => {
  const device = 0x103n;
  for (const type of [0o020000n, 0o060000n]) {
    expect("mknod", [7n, type | 0o666n, device], SUCCESS);
    expect("mknodat", [3n, 7n, type | 0o644n, device], SUCCESS);
  }
  for (const type of [0n, 0o010000n, 0o100000n, 0o140000n]) {
    expect("mknod", [7n, type | 0o666n, device], RET.ALLOW);
    expect("mknodat", [3n, 7n, type | 0o644n, device], RET.ALLOW);
  }
  expect("mknodat", [3n, 7n, 0o020000n, 0n], RET.ALLOW);
  expect("mknodat", [3n, 7n, 0o060000n, 0n], SUCCESS);
});

test("the upper halves of the registers, which the kernel ignores, change nothing", () => {
  expect("chown", [7n, NOISE | 33n, NOISE], SUCCESS);
  expect("chown", [7n, NOISE, NOISE | MINUS_ONE], RET.ALLOW);
  expect("setuid", [NOISE | 33n], SUCCESS);
  expect("mknod", [7n, NOISE | 0o020666n, NOISE | 0x103n], SUCCESS);
  expect("mknod", [7n, NOISE | 0o010666n, NOISE | 0x103n], RET.ALLOW);
});

test("getting ids tells the truth, and nothing else is answered", () => {
  for (
    const call of ["getuid", "geteuid", "getresuid", "getgroups", "setfsuid", "setfsgid", "capset", "chmod", "read"]
  ) {
    expect(call, [33n, 33n, 33n, 33n], RET.ALLOW);
  }
});

test("the answers do not open what the default filter refuses", () => {
  for (const { arch, programs } of PROGRAMS) {
    const merged = programs[1]!;
    for (const call of ["mount", "keyctl", "bpf", "unshare"]) {
      const { value } = runProgram(merged, { arch: NATIVE[arch], nr: SYSCALLS[arch].get(call)!, args: [] });
      assert.equal(value, retErrno(1), call);
    }
  }
});
