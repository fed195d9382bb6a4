import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import assert from "node:assert/strict";
import { HOST_ARCH } from "#linux/arch.ts";
import { PR_SET_NO_NEW_PRIVS } from "#linux/prctl.ts";
import { BPF, RET, retErrno } from "#linux/seccomp_bpf.ts";
import { SECCOMP_SET_MODE_FILTER } from "#linux/seccomp_call.ts";
import { syscallNumber } from "#linux/syscall_numbers.ts";
import { findCompiler } from "../../tests/support/c_compiler.ts";
import { type Random, seededRandom } from "../../tests/support/random.ts";
import { playBytes, type RawResult } from "../../tests/support/raw_tape.ts";
import { encodeTape } from "./encode.ts";
import { BASE, EXIT_FAILED, FIRST_OPERATION, FLAG, HEADER, JUMPS, OPERATIONS, RECORD } from "./layout.ts";
import { playerBytes } from "./player.ts";
import { openPlayer } from "./player_file.ts";
import { type Arg, mark, operate, type Step, step, type Tape } from "./step.ts";

const folder = fileURLToPath(new URL("player", import.meta.url).href);
const BUILD = join(folder, "build.sh");
const BYTES = readFileSync(join(folder, "bytes.ts"), "utf8");

/** Why the player cannot be built as its bytes were; false where it can. */
function otherCompilers(): string | false {
  const x86 = findCompiler(process.env["CC_X86_64"] ?? "gcc");
  const arm = findCompiler(process.env["CC_AARCH64"] ?? "aarch64-linux-gnu-gcc");
  if (x86 === undefined || arm === undefined) return "needs gcc for x86_64 and aarch64";
  const told = spawnSync("sh", [BUILD, "--compilers"], { encoding: "utf8" }).stdout.trim();
  return BYTES.includes(told) ? false : `bytes.ts was made by other compilers than ${told.replaceAll("\n// ", "; ")}`;
}

test("the player's bytes are those of its source", { skip: otherCompilers() }, () => {
  const work = mkdtempSync(join(tmpdir(), "dugout-player-"));
  try {
    const output = join(work, "bytes.ts");
    const { status, stderr } = spawnSync("sh", [BUILD, output], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.equal(readFileSync(output, "utf8"), BYTES, "run src/tape/player/build.sh");
  } finally {
    rmSync(work, { recursive: true });
  }
});

test("the player is small, and no part of it can be written to while it may be executed", () => {
  for (const arch of ["x86_64", "aarch64"] as const) {
    const bytes = playerBytes(arch);
    assert.ok(bytes.length < 2048, `${arch}: ${bytes.length} bytes`);
    const view = new DataView(bytes.buffer);
    // elf(5): e_phoff, e_phnum; of a segment p_type and p_flags
    const [at, count] = [Number(view.getBigUint64(32, true)), view.getUint16(56, true)];
    const segments = Array.from({ length: count }, (_, index) => ({
      type: view.getUint32(at + index * 56, true),
      flags: view.getUint32(at + index * 56 + 4, true),
    }));
    const [PT_LOAD, PT_GNU_STACK, READ_EXECUTE, READ_WRITE] = [1, 0x6474e551, 5, 6];
    assert.deepEqual(segments.filter(({ type }) => type === PT_LOAD), [{ type: PT_LOAD, flags: READ_EXECUTE }], arch);
    assert.deepEqual(segments.find(({ type }) => type === PT_GNU_STACK)?.flags, READ_WRITE, arch);
  }
});

function play(bytes: Uint8Array): RawResult {
  using player = openPlayer();
  return playBytes(bytes, [`/proc/self/fd/${player.fd}`]);
}

function makeTape(steps: Step[], buffers: Tape["buffers"] = new Map()): Tape {
  return { steps, buffers, errorFd: 4 };
}

function encode(...steps: Step[]): { bytes: Uint8Array; view: DataView } {
  const bytes = encodeTape(makeTape(steps, new Map([["b", { sizeBytes: 64 }]])), HOST_ARCH);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

function record(index: number): number {
  return HEADER.SIZE + index * RECORD.SIZE;
}

const say = step("write", [5, "said", 4], "say");

test("A-036 a tape whose header does not fit its size is not played", () => {
  assert.equal(play(encode(say).bytes).output, "said");
  const cases: ((view: DataView) => void)[] = [
    (view) => view.setUint32(HEADER.magic, 0, true),
    (view) => view.setUint32(HEADER.count, 0xffffffff, true),
    (view) => view.setUint32(HEADER.count, 1000, true),
    (view) => view.setBigUint64(HEADER.size, 0n, true),
    (view) => view.setBigUint64(HEADER.size, 1n << 63n, true),
    (view) => view.setUint8(HEADER.size, view.getUint8(HEADER.size) + 8),
  ];
  for (const change of cases) {
    const { bytes, view } = encode(say);
    change(view);
    assert.deepEqual(play(bytes), { exitCode: EXIT_FAILED, signal: undefined, failure: undefined, output: "" });
  }
  for (const length of [0, 1, HEADER.SIZE - 1, HEADER.SIZE, HEADER.SIZE + RECORD.SIZE]) {
    assert.equal(play(encode(say).bytes.slice(0, length)).exitCode, EXIT_FAILED, `${length} bytes`);
  }
});

test("A-036 a jump beyond the last record is a failure, not an end", () => {
  for (const to of [1, 2, 0x7fffffff, 0xffffffff]) {
    const { bytes, view } = encode(mark("only", "only"));
    view.setUint32(record(0) + RECORD.flags, JUMPS.indexOf("always") << FLAG.jumpShift, true);
    view.setUint32(record(0) + RECORD.jump, to, true);
    assert.deepEqual(play(bytes).failure, { index: 0, errno: 22 }, `to ${to}`);
  }
});

test("A-036 the result of a record that is not there is a failure", () => {
  for (const index of [1n, 2n, 1n << 32n, (1n << 64n) - 1n]) {
    const { bytes, view } = encode(step("close", [0], "close"));
    view.setUint32(record(0) + RECORD.flags, 1, true);
    view.setBigUint64(record(0) + RECORD.arg, index, true);
    assert.deepEqual(play(bytes).failure, { index: 0, errno: 22 }, `of ${index}`);
  }
});

test("A-036 stores and loads reach the heap and nothing else: no header, no record, nothing around the tape", () => {
  const { bytes } = encode(mark("a", ""), mark("b", ""));
  const heap = BigInt(BASE + record(2));
  const end = BigInt(BASE + bytes.length);
  const inside: [bigint, number][] = [[heap, 8], [end - 8n, 8], [end - 1n, 1], [end, 0], [heap, 0]];
  const outside: [bigint, number][] = [
    [BigInt(BASE), 4],
    [heap - 1n, 1],
    [heap - 8n, 8],
    [end, 1],
    [end - 7n, 8],
    [heap, 9],
    [heap, 0xffffffff],
    [0n, 8],
    [0x400000n, 8],
    // the sums of these wrap around
    [(1n << 64n) - 4n, 8],
    [(1n << 64n) - 1n, 1],
    [1n << 63n, 8],
  ];
  for (const operation of ["store", "load"] as const) {
    const result = ([address, size]: [bigint, number]) =>
      play(encode(operate(operation, [address, 0x41, size], operation), mark("b", "")).bytes);
    for (const place of inside) assert.equal(result(place).exitCode, 0, `${operation} ${place}`);
    for (const place of outside) {
      assert.deepEqual(result(place).failure, { index: 0, errno: 22 }, `${operation} ${place}`);
    }
  }
});

test("A-036 memory is compared within the tape alone", () => {
  const same = (address: bigint | { buffer: string }, other: bigint | { buffer: string }, size: number) =>
    play(encode(operate("same", [address, other, size], "compare"), mark("b", "")).bytes);
  const heap = BigInt(BASE + HEADER.SIZE + 2 * RECORD.SIZE);
  assert.equal(same(heap, heap, 8).exitCode, 0);
  for (const [address, size] of [[heap - 1n, 8], [0n, 8], [1n << 63n, 8], [heap, 0xffffffff]] as const) {
    assert.deepEqual(same(address, heap, size).failure, { index: 0, errno: 22 });
    assert.deepEqual(same(heap, address, size).failure, { index: 0, errno: 22 });
  }
});

test("A-036 operations that do not exist are failures, also where errors are ignored", () => {
  for (const nr of [FIRST_OPERATION + OPERATIONS.length, 0x40000000 | 39, 0xffffffff]) {
    const { bytes, view } = encode(step("getpid", [], "ask", "", { ignore: true }));
    view.setUint32(record(0) + RECORD.nr, nr, true);
    assert.deepEqual(play(bytes).failure, { index: 0, errno: 22 });
  }
  assert.deepEqual(play(encode(operate("alu", [1, 2, 99], "compute")).bytes).failure, { index: 0, errno: 22 });
});

test("a result may be a number that looks like an error", () => {
  const compute = (operation: number) => operate("alu", [1, 3, operation], "compute", { id: "n" });
  const store = operate("store", [{ buffer: "b" }, { result: "n" }, 8], "store");
  const load = operate("load", [{ buffer: "b" }, 0, 8], "load");
  // 1 - 3 is -2, which a system call would mean as ENOENT
  assert.equal(play(encode(compute(1), store, load).bytes).exitCode, 0);
});

// --- mutated tapes

const ROUNDS = 300;
const SIGPROF = 27;
const ITIMER_PROF = 2;
const PROCESSOR_MICROSECONDS = 10_000;
const HEAP_BYTES = 32;
/** Steps at the head that are not changed: an end for endless loops, and the jail. */
const PRELUDE = 3;

/** Calls that a mutated record may make. */
const HARMLESS = ["getpid", "close", "getppid", "sched_yield"].map((name) => syscallNumber(HOST_ARCH, name));
const NUMBERS = [
  ...HARMLESS,
  ...OPERATIONS.map((_, index) => FIRST_OPERATION + index),
  FIRST_OPERATION + OPERATIONS.length,
  0x40000000 | HARMLESS[0]!,
  0xffffffff,
];

/**
 * A filter under which a call that is not in the tape kills the player: what is left of its own calls is allowed, and
 * the jail's own are refused when they are made once more.
 */
function jailProgram(): Uint8Array {
  const refused = ["setitimer", "prctl", "seccomp"].map((name) => syscallNumber(HOST_ARCH, name));
  const allowed = [...HARMLESS, ...["write", "exit_group"].map((name) => syscallNumber(HOST_ARCH, name))];
  const lines: [code: number, yes: number, no: number, value: number][] = [
    [BPF.LOAD, 0, 0, 0],
    ...allowed.flatMap((nr): [number, number, number, number][] => [[BPF.EQ, 0, 1, nr], [BPF.RETURN, 0, 0, RET.ALLOW]]),
    ...refused.flatMap((nr): [number, number, number, number][] => [
      [BPF.EQ, 0, 1, nr],
      [BPF.RETURN, 0, 0, retErrno(1)],
    ]),
    [BPF.RETURN, 0, 0, RET.KILL_PROCESS],
  ];
  const bytes = new Uint8Array(lines.length * 8);
  const view = new DataView(bytes.buffer);
  lines.forEach(([code, yes, no, value], index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, yes);
    view.setUint8(index * 8 + 3, no);
    view.setUint32(index * 8 + 4, value, true);
  });
  return bytes;
}

const JAIL = jailProgram();

function randomStep(random: Random, index: number): Step {
  const earlier = (): Arg => index === 0 ? 0 : { result: `step ${random.below(index)}` };
  const place = (): Arg => ({ buffer: "heap", offset: random.below(HEAP_BYTES - 7) });
  const number = () => random.pick<Arg>([0, 1, 8, -1, -11, 0xffff, 1n << 63n]);
  const any = () => random.pick([earlier, place, number])();
  const target = random.pick([index + 1, index + 2, index + 3, random.below(20)]);
  return {
    call: random.pick(["getpid", "close", "store", "load", "alu", "fail", "nop", "store", "load", "alu"]),
    args: [random.chance(0.95) ? place() : any(), any(), random.pick([0, 1, 4, 5, 6])],
    label: "",
    id: `step ${index}`,
    ...(random.chance(0.4)
      ? { jump: { when: random.pick(["zero", "nonzero", "error", "always"] as const), to: `step ${target % 20}` } }
      : {}),
    ...(random.chance(0.9) ? { ignore: true } : {}),
    ...(random.chance(0.2) ? { retry: true } : {}),
  };
}

/** A tape of harmless steps in a jail, with some of its bytes changed, but none such that it could do harm. */
function mutatedTape(random: Random): Uint8Array {
  const timer = new Uint8Array(32);
  new DataView(timer.buffer).setBigUint64(24, BigInt(PROCESSOR_MICROSECONDS), true);
  const steps = [
    step("setitimer", [ITIMER_PROF, timer, 0], "limit"),
    step("prctl", [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0], "set"),
    step("seccomp", [SECCOMP_SET_MODE_FILTER, 0, { struct: [JAIL.length / 8, JAIL] }], "jail"),
    ...Array.from({ length: 20 }, (_, index) => randomStep(random, index)),
  ];
  const bytes = encodeTape(makeTape(steps, new Map([["heap", { sizeBytes: HEAP_BYTES }]])), HOST_ARCH);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [first, last] = [record(PRELUDE), record(steps.length) + HEAP_BYTES];
  for (let changes = random.below(8); changes > 0; changes--) {
    const at = first + random.below(last - first);
    bytes[at] = random.chance(0.5) ? random.below(256) : bytes[at]! ^ 1 << random.below(8);
  }
  if (random.chance(0.2)) bytes[random.pick([0, 4, 4, 4, 16, 18])] = random.below(256);
  // what has become the number of a call is one of those that do no harm; so is where failures are written to
  for (let index = PRELUDE; index < steps.length; index++) {
    const nr = view.getUint32(record(index) + RECORD.nr, true);
    if (!NUMBERS.includes(nr)) view.setUint32(record(index) + RECORD.nr, random.pick(NUMBERS), true);
  }
  view.setUint32(HEADER.errorFd, random.pick([4, 4, 4, 4, 5, 999, 0xffffffff]), true);
  // the heap is no list of records
  const [count, slots] = [view.getUint32(HEADER.count, true), Math.floor((bytes.length - HEADER.SIZE) / RECORD.SIZE)];
  if (count > steps.length && count <= slots) view.setUint32(HEADER.count, slots + 1, true);
  return bytes;
}

test("A-036 whatever is changed in a tape, it ends, by itself or by its limit, and makes no call that is not in it", () => {
  const seed = 5;
  const random = seededRandom(seed);
  let [failures, ends] = [0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = mutatedTape(random);
    const { exitCode, signal, failure } = play(bytes);
    const told = `seed ${seed}, round ${round}: exit ${exitCode}, signal ${signal}, ${JSON.stringify(failure)}`;
    if (signal !== undefined) assert.equal(signal, SIGPROF, told);
    else assert.ok(exitCode === 0 || exitCode === EXIT_FAILED, told);
    if (exitCode === 0) ends++;
    if (failure === undefined) continue;
    failures++;
    assert.ok(exitCode === EXIT_FAILED && failure.index < 23 && failure.errno > 0 && failure.errno < 4096, told);
  }
  // the fuzzer is worth something only if tapes are played
  assert.ok(failures > 30 && ends > 30, `seed ${seed}: ${failures} failures, ${ends} ends of ${ROUNDS}`);
});
