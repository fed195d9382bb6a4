import { test } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { type Arch, syscallNumber, SYSCALLS } from "./syscall_numbers.ts";

const X86_64_HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";

test("well-known calls have the numbers of both architectures", () => {
  assert.equal(SYSCALLS.x86_64.get("read"), 0);
  assert.equal(SYSCALLS.x86_64.get("openat2"), 437);
  assert.equal(SYSCALLS.x86_64.get("execve"), 59);
  assert.equal(SYSCALLS.aarch64.get("read"), 63);
  assert.equal(SYSCALLS.aarch64.get("execve"), 221);
  assert.equal(SYSCALLS.aarch64.get("newfstatat"), 79);
  assert.equal(SYSCALLS.aarch64.get("clone3"), 435);
  assert.equal(SYSCALLS.aarch64.get("open"), undefined);
});

test("no two calls of an architecture share a number", () => {
  for (const arch of ["x86_64", "aarch64"] satisfies Arch[]) {
    assert.equal(new Set(SYSCALLS[arch].values()).size, SYSCALLS[arch].size);
  }
});

test("from 424 on the architectures agree", () => {
  for (const [name, number] of SYSCALLS.aarch64) {
    if (number >= 424) assert.equal(SYSCALLS.x86_64.get(name), number, name);
  }
});

test("an unknown call is a mistake of ours and says so", () => {
  assert.throws(() => syscallNumber("aarch64", "fork"), /No system call "fork" on aarch64/);
});

test("the table agrees with the kernel header of this machine", { skip: !existsSync(X86_64_HEADER) }, () => {
  for (const line of readFileSync(X86_64_HEADER, "utf8").split("\n")) {
    const match = /^#define __NR_(\w+) (\d+)$/.exec(line);
    if (match?.[1] !== undefined) assert.equal(SYSCALLS.x86_64.get(match[1]), Number(match[2]), match[1]);
  }
});
