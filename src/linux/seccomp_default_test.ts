import { test } from "node:test";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  ALL_CAPABILITIES,
  type CapabilityName,
  type CapabilitySet,
  capabilitySet,
  DEFAULT_CAPABILITIES,
  LAST_CAPABILITY,
} from "./capabilities.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import { defaultPolicy } from "./seccomp_default.ts";
import { evaluatePolicy } from "./seccomp_policy.ts";
import { type Arch, SYSCALLS } from "./syscall_numbers.ts";

const EPERM = retErrno(1);
const ENOSYS = retErrno(38);

function answer(call: string, args: bigint[] = [], capabilities = DEFAULT_CAPABILITIES): number {
  return evaluatePolicy(defaultPolicy(capabilities), call, args);
}

/** What a policy answers to every call, with first arguments around which Docker's profile turns, as one digest. */
function digestAnswers(
  arch: Arch,
  policyFor: (capabilities: CapabilitySet) => ReturnType<typeof defaultPolicy>,
): string {
  const hash = createHash("sha256");
  const sets = [0n, DEFAULT_CAPABILITIES, ALL_CAPABILITIES];
  for (let number = 0; number <= LAST_CAPABILITY; number++) sets.push(1n << BigInt(number));
  const firsts = [0n, 0x8n, 0x20000n, 0x20008n, 0xffffffffn, 0x1200011n, 0x3d0f00n];
  for (let value = 1n; value < 50n; value++) firsts.push(value, value << 25n);
  for (const capabilities of sets) {
    const policy = policyFor(capabilities);
    for (const call of [...SYSCALLS[arch].keys()].sort()) {
      const narrowed = { ...policy, rules: policy.rules.filter((rule) => rule.call === call) };
      const answers = firsts.map((first) => evaluatePolicy(narrowed, call, [first]).toString(16));
      hash.update(`${capabilities.toString(16)} ${call} ${answers.join(" ")}\n`);
    }
  }
  return hash.digest("hex");
}

test("A-038 the default answers as github.com/moby/profiles 02e898b does, for every call and capability", () => {
  // computed from that profile's own file by the function above
  assert.equal(
    digestAnswers("x86_64", defaultPolicy),
    "6cfaeb07d66008550cda30d58f366f15e9a4c70d00fb73cf97eab2328a06aecf",
  );
  assert.equal(
    digestAnswers("aarch64", defaultPolicy),
    "395295845dfad72a55a4a22929ed10e5636bd59e7b28237970691b920d3de3ab",
  );
});

test("every name in the default's lists is a call of one of our architectures", () => {
  const known = new Set([...SYSCALLS.x86_64.keys(), ...SYSCALLS.aarch64.keys()]);
  for (const { call } of defaultPolicy(ALL_CAPABILITIES).rules) assert.ok(known.has(call), call);
});

test("A-038 AF_ALG and AF_VSOCK are refused, usual families are not", () => {
  for (const family of [1n, 2n, 10n, 16n, 17n]) assert.equal(answer("socket", [family]), RET.ALLOW, `${family}`);
  for (const family of [38n, 40n, 46n, 1000n]) assert.equal(answer("socket", [family]), EPERM, `${family}`);
});

test("A-038 clone cannot make namespaces, and clone3 is not there", () => {
  assert.equal(answer("clone", [0x1200011n]), RET.ALLOW);
  for (const bit of [17n, 25n, 26n, 27n, 28n, 29n, 30n]) assert.equal(answer("clone", [1n << bit | 17n]), EPERM);
  assert.equal(answer("clone3"), ENOSYS);
  assert.equal(answer("unshare"), EPERM);
  const admin = DEFAULT_CAPABILITIES | capabilitySet(["SYS_ADMIN"]);
  assert.equal(answer("clone", [1n << 28n], admin), RET.ALLOW);
  assert.equal(answer("clone3", [], admin), RET.ALLOW);
});

test("A-037 the keyctl family is refused, whatever the capabilities", () => {
  for (const call of ["keyctl", "add_key", "request_key"]) {
    assert.equal(answer(call), EPERM);
    assert.equal(answer(call, [], ALL_CAPABILITIES), EPERM);
  }
});

test("A-038 what reaches beyond a container is refused", () => {
  const calls = [
    "io_uring_setup",
    "io_uring_enter",
    "userfaultfd",
    "bpf",
    "mount",
    "pivot_root",
    "swapon",
    "kexec_load",
  ];
  for (const call of [...calls, "init_module", "open_by_handle_at", "perf_event_open", "setns", "reboot", "syslog"]) {
    assert.equal(answer(call), EPERM, call);
  }
});

test("a capability brings its calls", () => {
  const pairs: [CapabilityName, string][] = [
    ["SYS_ADMIN", "mount"],
    ["SYS_CHROOT", "chroot"],
    ["DAC_READ_SEARCH", "open_by_handle_at"],
    ["SYS_TIME", "clock_settime"],
    ["SYSLOG", "syslog"],
    ["BPF", "bpf"],
  ];
  for (const [capability, call] of pairs) {
    assert.equal(answer(call, [], 0n), EPERM);
    assert.equal(answer(call, [], capabilitySet([capability])), RET.ALLOW);
  }
});
