import { test } from "node:test";
import assert from "node:assert/strict";
import { mountAttr } from "#linux/mount.ts";
import { packList, packStruct } from "./pack.ts";
import { printTape } from "./print.ts";
import { step } from "./step.ts";

test("a struct is packed field by field, the rest is zero", () => {
  assert.deepEqual([...packStruct("winsize", { ws_col: 80, ws_row: 0x1234 })], [0x34, 0x12, 80, 0, 0, 0, 0, 0]);
  assert.deepEqual(packStruct("mount_attr", { attr_set: 1, attr_clr: 2n, propagation: 3 }), mountAttr(1, 2, 3));
  assert.deepEqual([...packStruct("pollfd", { fd: -1, events: 1 })], [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
  // capset(2): the low halves of the three sets, then the high ones
  const words = new Uint32Array(packStruct("capabilities", { effective: 1n << 40n | 1n, permitted: 2n }).buffer);
  assert.deepEqual([...words], [1, 2, 0, 1 << 8, 0, 0]);
});

test("A-036 a value that does not fit its field is refused, not cut", () => {
  assert.throws(() => packStruct("winsize", { ws_row: 65536 }), /winsize.ws_row has 16 bits and cannot hold 65536/);
  assert.throws(() => packStruct("winsize", { ws_row: -1 }), RangeError);
  assert.throws(() => packStruct("pollfd", { fd: 2 ** 31 }), RangeError);
  assert.throws(() => packStruct("mount_attr", { attr_set: 1n << 64n }), RangeError);
  assert.throws(() => packStruct("capabilities", { effective: 1n << 64n }), RangeError);
  for (const value of [0.5, NaN, 2 ** 53]) {
    assert.throws(() => packStruct("mount_attr", { attr_set: value }), /must be an integer/);
  }
  // id 2^32 would be root
  for (const id of [2 ** 32, -1]) assert.throws(() => packList("id", [1, id]), RangeError);
  assert.deepEqual([...packList("id", [1, 2 ** 32 - 1])], [1, 0, 0, 0, 255, 255, 255, 255]);
  assert.equal(packList("id", []).length, 0);
});

test("A-087 a struct has the fields of its table and no others", () => {
  for (const name of ["ws_rows", "__proto__x", "toString", "constructor", ""]) {
    assert.throws(() => packStruct("winsize", { [name]: 1 }), /has no field/);
  }
});

test("what is packed is printed as it was said", () => {
  const tape = {
    steps: [
      step("ioctl", [0, 0x5414, packStruct("winsize", { ws_row: 24, ws_col: 80 })], "set size"),
      step("setgroups", [3, packList("id", [0, 5, 4294967294])], "set groups"),
      step("prlimit64", [0, 7, packStruct("rlimit", { rlim_cur: 5, rlim_max: (1n << 64n) - 1n }), 0], "limit"),
    ],
    buffers: new Map(),
    errorFd: 4,
  };
  assert.deepEqual(printTape(tape).map((line) => line.replace(/^.*? {2,}/, "")), [
    "ioctl(0, TIOCSWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0})",
    "setgroups(3, [0, 5, 4294967294])",
    "prlimit64(0, RLIMIT_NOFILE, {rlim_cur=5, rlim_max=RLIM_INFINITY}, NULL)",
  ]);
});
