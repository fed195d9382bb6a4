import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import assert from "node:assert/strict";
import { HOST_ARCH } from "#linux/arch.ts";
import { playBytes, type RawResult } from "../../tests/support/raw_tape.ts";
import { encodeTape } from "./encode.ts";
import { injectFailure } from "./inject.ts";
import { EXIT_FAILED } from "./layout.ts";
import { playerBytes } from "./player.ts";
import { compute, jumpTo, mark, operate, type Step, step, type Tape, type TapeBuffer } from "./step.ts";

const EMULATOR = ["/usr/bin/qemu-aarch64-static", "/usr/bin/qemu-aarch64"].find((path) => existsSync(path));
/** Where the processor is one, no emulator is needed. */
const skip = HOST_ARCH !== "aarch64" && EMULATOR === undefined ? "needs qemu-user-static" : false;

function makeTape(steps: Step[], buffers: Record<string, TapeBuffer> = {}): Tape {
  return { steps, buffers: new Map(Object.entries(buffers)), errorFd: 4 };
}

/** Plays a tape by the player for aarch64. */
function playForeign(tape: Tape): RawResult {
  const folder = mkdtempSync(join(tmpdir(), "dugout-aarch64-"));
  try {
    const player = join(folder, "player");
    writeFileSync(player, playerBytes("aarch64"), { mode: 0o755 });
    const bytes = encodeTape(tape, "aarch64");
    return playBytes(bytes, HOST_ARCH === "aarch64" ? [player] : [EMULATOR!, player]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const FINE = { exitCode: 0, signal: undefined, failure: undefined };

test("the player for aarch64 writes, and takes results as arguments", { skip }, () => {
  const tape = makeTape([
    step("dup", [5], "copy", "the pipe", { id: "copy" }),
    step("write", [{ result: "copy" }, "hello", 5], "write to", "the copy"),
  ]);
  assert.deepEqual(playForeign(tape), { ...FINE, output: "hello" });
});

test("the player for aarch64 tells a failure, ignores one, and jumps on one", { skip }, () => {
  const tape = makeTape([
    step("close", [999], "close", "999", { ignore: true }),
    step("close", [998], "close", "998", { jump: { when: "error", to: "otherwise" } }),
    step("write", [5, "not here", 8], "write"),
    mark("otherwise", "otherwise"),
    step("write", [5, "here", 4], "write"),
    step("chdir", ["/nowhere at all"], "enter", "nothing"),
    step("write", [5, "never", 5], "write"),
  ]);
  assert.deepEqual(playForeign(tape), {
    exitCode: EXIT_FAILED,
    signal: undefined,
    failure: { index: 5, errno: 2 },
    output: "here",
  });
  assert.deepEqual(playForeign(injectFailure(tape, 4, 28)).failure, { index: 4, errno: 28 });
});

test("the player for aarch64 forks, waits, computes and loops", { skip }, () => {
  const SIGCHLD = 17;
  const tape = makeTape([
    step("clone", [SIGCHLD, 0, 0, 0, 0], "fork", "", { id: "fork", jump: { when: "zero", to: "child" } }),
    step("wait4", [{ result: "fork" }, { buffer: "status" }, 0, 0], "wait for", "the child", { retry: true }),
    operate("load", [{ buffer: "status" }, 0, 4], "read the wait status", { id: "status" }),
    compute("shr", { result: "status" }, 8, "take the exit code", { id: "code" }),
    mark("again", "loop"),
    step("write", [5, "x", 1], "write"),
    operate("load", [{ buffer: "count" }, 0, 8], "read the counter", { id: "count" }),
    compute("add", { result: "count" }, 1, "add one", { id: "next" }),
    operate("store", [{ buffer: "count" }, { result: "next" }, 8], "store the counter"),
    compute("less", { result: "next" }, { result: "code" }, "fewer than that", {
      jump: { when: "nonzero", to: "again" },
    }),
    jumpTo("end", "leave"),
    mark("child", "child"),
    step("exit_group", [7], "exit", "7"),
    mark("end", "end"),
  ], { status: { sizeBytes: 8 }, count: { sizeBytes: 8 } });
  assert.deepEqual(playForeign(tape), { ...FINE, output: "xxxxxxx" });
});

test("the player for aarch64 refuses stores outside of the heap and loads from outside", { skip }, () => {
  const store = makeTape([operate("store", [(1n << 64n) - 4n, 1, 8], "store")]);
  assert.deepEqual(playForeign(store).failure, { index: 0, errno: 22 });
  const load = makeTape([operate("load", [0x1000, 0, 8], "load")]);
  assert.deepEqual(playForeign(load).failure, { index: 0, errno: 22 });
});

test("the player for aarch64 passes six arguments, signed ones too", { skip }, () => {
  // mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0), then munmap
  const tape = makeTape([
    step("mmap", [0, 4096, 3, 0x22, -1, 0], "map", "a page", { id: "page" }),
    step("munmap", [{ result: "page" }, 4096], "unmap", "a page"),
    step("write", [5, "six", 3], "write"),
  ]);
  assert.deepEqual(playForeign(tape), { ...FINE, output: "six" });
});
