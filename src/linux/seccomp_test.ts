import { test } from "node:test";
import assert from "node:assert/strict";
import { runProgram } from "./bpf_machine.ts";
import { ALL_CAPABILITIES, DEFAULT_CAPABILITIES } from "./capabilities.ts";
import { RET, retErrno } from "./seccomp_bpf.ts";
import { planSeccomp, type SeccompRequest } from "./seccomp.ts";

const X86_64 = 0xc000003e;
const AARCH64 = 0xc00000b7;
const EPERM = retErrno(1);
const REQUEST: SeccompRequest = {
  arch: "x86_64",
  profile: "default",
  capabilities: DEFAULT_CAPABILITIES,
  kernel: [6, 1],
  singleId: false,
  guardTerminal: false,
};
const IOCTL = 16;
const TIOCSTI = 0x5412n;
const TIOCLINUX = 0x541cn;
const TCGETS = 0x5401n;

function answer(request: Partial<SeccompRequest>, nr: number, args: bigint[], arch = X86_64): number {
  const filter = planSeccomp({ ...REQUEST, ...request });
  return filter === undefined ? RET.ALLOW : runProgram(filter.program, { arch, nr, args }).value;
}

test("an unconfined container has no filter, unless something must be guarded or answered", () => {
  const unconfined = { ...REQUEST, profile: "unconfined" } as const;
  assert.equal(planSeccomp(unconfined), undefined);
  assert.ok(planSeccomp({ ...unconfined, guardTerminal: true }) !== undefined);
  assert.ok(planSeccomp({ ...unconfined, singleId: true }) !== undefined);
  assert.equal(planSeccomp({ ...REQUEST, profile: { text: "{}" } }), undefined);
});

test("A-026 typing into a terminal is refused on the low 32 bits, by default always", () => {
  for (const request of [TIOCSTI, TIOCLINUX]) {
    for (const high of [0n, 1n << 32n, 0xffff_ffff_0000_0000n]) {
      assert.equal(answer({}, IOCTL, [0n, request | high]), EPERM);
      assert.equal(answer({ arch: "aarch64" }, 29, [0n, request | high], AARCH64), EPERM);
      assert.equal(answer({ capabilities: ALL_CAPABILITIES }, IOCTL, [0n, request | high]), EPERM);
    }
  }
  assert.equal(answer({}, IOCTL, [0n, TCGETS]), RET.ALLOW);
  assert.equal(answer({}, IOCTL, [TIOCSTI, TCGETS]), RET.ALLOW);
});

test("A-026 with another profile, or none, the caller's terminal is guarded, also from 32-bit programs", () => {
  const profile = { text: `{"defaultAction":"SCMP_ACT_ALLOW"}` };
  assert.equal(answer({ profile }, IOCTL, [0n, TIOCSTI]), RET.ALLOW);
  assert.equal(answer({ profile, guardTerminal: true }, IOCTL, [0n, TIOCSTI]), EPERM);

  const guarded = { profile: "unconfined", guardTerminal: true } as const;
  assert.equal(answer(guarded, IOCTL, [0n, TIOCSTI]), EPERM);
  assert.equal(answer(guarded, IOCTL, [0n, TCGETS]), RET.ALLOW);
  assert.equal(answer(guarded, 321, []), RET.ALLOW);
  assert.equal(answer(guarded, 5000, []), RET.ALLOW);
  const i386 = 0x40000003;
  assert.equal(answer(guarded, 54, [0n, TIOCLINUX], i386), EPERM);
  assert.equal(answer(guarded, 54, [0n, TCGETS], i386), RET.ALLOW);
  assert.equal(answer(guarded, 4, [], i386), RET.ALLOW);
  for (const nr of [0x40000000 + 514, 0x40000000 + 16]) {
    assert.equal(answer(guarded, nr, [0n, TIOCSTI]), EPERM);
    assert.equal(answer(guarded, nr, [0n, TCGETS]), RET.ALLOW);
  }
  assert.equal(answer(guarded, 0x40000000 + 1, []), RET.ALLOW);
  const arm = 0x40000028;
  assert.equal(answer({ ...guarded, arch: "aarch64" }, 54, [0n, TIOCSTI], arm), EPERM);
});

test("A-038 a profile of the user's closes other ABIs too", () => {
  const profile = { text: `{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"]}` };
  assert.equal(answer({ profile }, 0, []), RET.ALLOW);
  assert.equal(answer({ profile }, 0, [], 0x40000003), RET.KILL_PROCESS);
  assert.equal(answer({}, 0, [], 0x40000003), RET.KILL_PROCESS);
  assert.equal(answer({ profile: "unconfined", singleId: true }, 0, [], 0x40000003), RET.ALLOW);
});

test("a profile's flags are passed on", () => {
  const profile = { text: `{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"]}` };
  assert.equal(planSeccomp({ ...REQUEST, profile })?.flags, 2);
  assert.equal(planSeccomp(REQUEST)?.flags, 4);
});

test("a bad profile is refused", () => {
  assert.throws(
    () => planSeccomp({ ...REQUEST, profile: { text: "[" } }),
    /Cannot use the seccomp profile: it is not JSON/,
  );
});
