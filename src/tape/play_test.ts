import { test } from "node:test";
import assert from "node:assert/strict";
import { close, makePipe } from "#linux/file.ts";
import { addressOf, allocate } from "#ffi/mod.ts";
import { tryCall } from "#linux/call.ts";
import { OsError } from "#linux/errno.ts";
import { playTape } from "./play.ts";
import { compute, jumpTo, mark, operate, type Step, step, type Tape, type TapeBuffer } from "./step.ts";

const ERROR_FD = 4;

function makeTape(steps: Step[], buffers: Record<string, TapeBuffer> = {}): Tape {
  return { steps, buffers: new Map(Object.entries(buffers)), errorFd: ERROR_FD };
}

function playAndRead(tape: Tape): string {
  const pipe = makePipe();
  playTape(tape, { fds: [{ child: 5, ours: pipe.write }] });
  close(pipe.write);
  const bytes = allocate(4096);
  const length = tryCall("read", pipe.read, addressOf(bytes), bytes.length);
  close(pipe.read);
  return new TextDecoder().decode(bytes.subarray(0, length));
}

test("a tape writes a string to a descriptor that it was given", () => {
  assert.equal(playAndRead(makeTape([step("write", [5, "hello", 5], "write to", "the pipe")])), "hello");
});

test("the result of a step is an argument of a later one", () => {
  const tape = makeTape([
    step("dup", [5], "copy", "the pipe", { id: "copy" }),
    step("write", [{ result: "copy" }, "x", 1], "write to", "the copy"),
  ]);
  assert.equal(playAndRead(tape), "x");
});

test("a failed step is told by its label, its object and the error's name", () => {
  const tape = makeTape([
    step("getpid", [], "ask for", "the pid"),
    step("mkdirat", [-100, "/proc/nope", 0o700], "make directory", "/proc/nope", {
      hints: { ENOENT: "proc is not a disk" },
    }),
  ]);
  assert.throws(() => playTape(tape), (error: unknown) => {
    assert.ok(error instanceof OsError);
    assert.equal(error.message, "make directory /proc/nope: ENOENT: No such file or directory");
    assert.equal(error.code, "ENOENT");
    assert.equal(error.hint, "proc is not a disk");
    return true;
  });
});

test("a jump that is for one error leaves others failures", () => {
  const [ENOENT, EBADF] = [2, 9];
  const close = (only: number, ignore = false) =>
    makeTape([
      step("close", [998], "close", "998", { jump: { when: "error", to: "end", only }, ignore }),
      step("write", [5, "not here", 8], "write to", "the pipe"),
      mark("end", "end"),
      step("write", [5, ".", 1], "write to", "the pipe"),
    ]);
  assert.equal(playAndRead(close(EBADF)), ".");
  assert.throws(() => playAndRead(close(ENOENT)), /close 998: EBADF/);
  assert.equal(playAndRead(close(ENOENT, true)), "not here.");
});

test("an ignored error does not end the tape, and a jump on error leaves it", () => {
  const tape = makeTape([
    step("close", [999], "close", "999", { ignore: true }),
    step("close", [998], "close", "998", { jump: { when: "error", to: "end" } }),
    step("write", [5, "not here", 8], "write to", "the pipe"),
    mark("end", "end"),
    step("write", [5, "end", 3], "write to", "the pipe"),
  ]);
  assert.equal(playAndRead(tape), "end");
});

test("a forked child takes its own way and the parent waits for it", () => {
  const SIGCHLD = 17;
  const tape = makeTape([
    step("clone", [SIGCHLD, 0, 0, 0, 0], "fork", "", { id: "fork", jump: { when: "zero", to: "child" } }),
    step("wait4", [{ result: "fork" }, { buffer: "status" }, 0, 0], "wait for", "the child", { retry: true }),
    operate("load", [{ buffer: "status" }, 0, 4], "read the wait status", { id: "status" }),
    compute("shr", { result: "status" }, 8, "take the exit code", { id: "code" }),
    compute("add", { result: "code" }, 48, "make it a digit", { id: "digit" }),
    operate("store", [{ buffer: "digit" }, { result: "digit" }, 1], "store the digit"),
    step("write", [5, { buffer: "digit" }, 1], "write to", "the pipe"),
    jumpTo("end", "leave"),
    mark("child", "child"),
    step("exit_group", [7], "exit", "7"),
    mark("end", "end"),
  ], { status: { sizeBytes: 8 }, digit: { sizeBytes: 1 } });
  assert.equal(playAndRead(tape), "7");
});

test("a loop counts", () => {
  const tape = makeTape([
    mark("again", "loop"),
    step("write", [5, "x", 1], "write to", "the pipe"),
    operate("load", [{ buffer: "count" }, 0, 8], "read the counter", { id: "count" }),
    compute("add", { result: "count" }, 1, "add one", { id: "next" }),
    operate("store", [{ buffer: "count" }, { result: "next" }, 8], "store the counter"),
    compute("less", { result: "next" }, 5, "fewer than five", { jump: { when: "nonzero", to: "again" } }),
  ], { count: { sizeBytes: 8 } });
  assert.equal(playAndRead(tape), "xxxxx");
});

test("memory is compared, and where it differs the tape goes another way", () => {
  const compareWith = (text: string, size: number): string =>
    playAndRead(makeTape([
      operate("same", [{ buffer: "text" }, new TextEncoder().encode(text), size], "compare", {
        jump: { when: "zero", to: "other" },
      }),
      step("write", [5, "same", 4], "write to", "the pipe", { jump: { when: "nonzero", to: "end" } }),
      mark("other", "other"),
      step("write", [5, "other", 5], "write to", "the pipe"),
      mark("end", "end"),
    ], { text: { sizeBytes: 100, bytes: new TextEncoder().encode("compared") } }));
  assert.equal(compareWith("compared", 8), "same");
  assert.equal(compareWith("comparez", 8), "other");
  assert.equal(compareWith("comparez", 7), "same");
  assert.equal(compareWith("Compared", 8), "other");
  assert.equal(compareWith("anything", 0), "same");
});

test("a number is written in digits, with nothing behind them", () => {
  const write = (value: number | bigint, size: number): string =>
    playAndRead(makeTape([
      operate("decimal", [{ buffer: "text" }, value, size], "write in digits"),
      step("write", [5, { buffer: "text" }, 24], "write to", "the pipe"),
    ], { text: { sizeBytes: 24, bytes: new Uint8Array(24).fill(0x78) } }));
  for (const value of [0, 7, 10, 99, 100, 4194304, 2 ** 32, 2n ** 64n - 1n]) {
    assert.equal(write(value, 21), `${value}`.padEnd(21, "\0") + "xxx");
  }
  assert.equal(write(999, 4), "999\0" + "x".repeat(20));
  for (const size of [0, 1, 3]) assert.throws(() => write(999, size), /EINVAL/);
});

test("a store outside of the tape's memory is refused", () => {
  const tape = makeTape([operate("store", [0x1000, 1, 8], "store outside")]);
  assert.throws(() => playTape(tape), /store outside.*EINVAL/);
});

test("execve gets arguments and environment", () => {
  const tape = makeTape([
    step("dup3", [5, 1, 0], "make stdout", "the pipe"),
    step(
      "execve",
      ["/bin/sh", { strings: ["sh", "-c", 'echo "$A $1"', "sh", "one"] }, { strings: ["A=b"] }],
      "execute",
      "/bin/sh",
    ),
  ]);
  assert.equal(playAndRead(tape), "b one\n");
});
