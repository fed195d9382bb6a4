import { test } from "node:test";
import assert from "node:assert/strict";
import { type Arch, syscallNumber, SYSCALLS } from "#linux/syscall_numbers.ts";
import { type Random, seededRandom } from "../../tests/support/random.ts";
import { encodeTape } from "./encode.ts";
import { BASE, FIRST_OPERATION, FLAG, HEADER, JUMPS, MAGIC, OPERATIONS, RECORD } from "./layout.ts";
import { type Arg, jumpTo, mark, operate, type Step, step, type Tape, type TapeBuffer } from "./step.ts";

function makeTape(steps: Step[], buffers: Record<string, TapeBuffer> = {}, errorFd = 4): Tape {
  return { steps, buffers: new Map(Object.entries(buffers)), errorFd };
}

function encode(tape: Tape, arch: Arch = "x86_64") {
  const bytes = encodeTape(tape, arch);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

type Encoded = ReturnType<typeof encode>;

/** The offset in the tape of an address; fails where it is outside of the heap. */
function offsetOf({ bytes, view }: Encoded, address: bigint): number {
  const heap = HEADER.SIZE + view.getUint32(HEADER.count, true) * RECORD.SIZE;
  const offset = Number(address) - BASE;
  assert.ok(offset >= heap && offset <= bytes.length, `address ${address} is outside of the heap`);
  return offset;
}

function readString(encoded: Encoded, address: bigint): Uint8Array {
  const at = offsetOf(encoded, address);
  return encoded.bytes.subarray(at, encoded.bytes.indexOf(0, at));
}

/** Compares a word of the tape, and what it points to, with the argument that it was made of. */
function checkWord(encoded: Encoded, word: bigint, arg: Arg, tape: Tape): void {
  const utf8 = new TextEncoder();
  if (typeof arg === "number" || typeof arg === "bigint") {
    assert.equal(BigInt.asUintN(64, word), BigInt.asUintN(64, BigInt(arg)));
  } else if (typeof arg === "string") {
    assert.deepEqual(readString(encoded, word), utf8.encode(arg));
  } else if (arg instanceof Uint8Array) {
    const at = offsetOf(encoded, word);
    assert.deepEqual(encoded.bytes.slice(at, at + arg.length), Uint8Array.from(arg));
  } else if ("buffer" in arg) {
    const buffer = tape.buffers.get(arg.buffer)!;
    const at = offsetOf(encoded, word) - (arg.offset ?? 0);
    const content = new Uint8Array(buffer.sizeBytes);
    content.set(buffer.bytes ?? []);
    assert.deepEqual(encoded.bytes.slice(at, at + buffer.sizeBytes), content);
  } else if ("strings" in arg) {
    const at = offsetOf(encoded, word);
    arg.strings.forEach((text, index) => {
      const address = encoded.view.getBigUint64(at + index * 8, true);
      assert.deepEqual(
        Uint8Array.from(readString(encoded, address)),
        typeof text === "string" ? utf8.encode(text) : Uint8Array.from(text),
      );
    });
    assert.equal(encoded.view.getBigUint64(at + arg.strings.length * 8, true), 0n);
  } else if ("struct" in arg) {
    const at = offsetOf(encoded, word);
    arg.struct.forEach((inner, index) =>
      checkWord(encoded, encoded.view.getBigUint64(at + index * 8, true), inner, tape)
    );
  } else {
    assert.equal(Number(word), tape.steps.findIndex(({ id }) => id === arg.result));
  }
}

/** Checks that the bytes say what the tape says. */
function checkEncoding(tape: Tape, arch: Arch): void {
  const encoded = encode(tape, arch);
  const { bytes, view } = encoded;
  assert.equal(view.getUint32(HEADER.magic, true), MAGIC);
  assert.equal(view.getUint32(HEADER.count, true), tape.steps.length);
  assert.equal(view.getUint32(HEADER.errorFd, true), tape.errorFd);
  assert.equal(view.getBigUint64(HEADER.size, true), BigInt(bytes.length));
  tape.steps.forEach((step, index) => {
    const at = HEADER.SIZE + index * RECORD.SIZE;
    const operation = (OPERATIONS as readonly string[]).indexOf(step.call);
    const nr = operation < 0 ? syscallNumber(arch, step.call) : FIRST_OPERATION + operation;
    assert.equal(view.getUint32(at + RECORD.nr, true), nr);
    const flags = view.getUint32(at + RECORD.flags, true);
    assert.equal((flags & FLAG.ignore) !== 0, step.ignore ?? false);
    assert.equal((flags & FLAG.retry) !== 0, step.retry ?? false);
    assert.equal(JUMPS[flags >> FLAG.jumpShift & 15], step.jump?.when ?? "never");
    if (step.jump !== undefined) {
      const to = view.getUint32(at + RECORD.jump, true);
      assert.equal(view.getUint32(at + RECORD.only, true), step.jump.only ?? 0);
      assert.equal(tape.steps[to]!.id, step.jump.to);
    }
    for (let k = 0; k < 6; k++) {
      const arg = step.args[k] ?? 0;
      const isResult = typeof arg === "object" && "result" in arg;
      assert.equal((flags >> k & 1) === 1, isResult);
      checkWord(encoded, view.getBigUint64(at + RECORD.arg + k * 8, true), arg, tape);
    }
  });
}

function randomArg(random: Random, earlier: readonly string[], depth = 0): Arg {
  switch (random.below(depth < 2 ? 8 : 5)) {
    case 0:
      return random.pick(["", "x", "é\u202e", "long ".repeat(2000)]);
    case 1:
      return random.bytes(random.below(100));
    case 2:
      return { buffer: random.pick(["small", "odd"]), offset: random.below(3) };
    case 3:
      return random.pick([0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 0xffffffff]);
    case 4:
      return random.pick([0n, -1n, (1n << 64n) - 1n, -(1n << 63n)]);
    case 5:
      return {
        strings: Array.from({ length: random.below(5) }, () => random.pick(["", "A=b", new Uint8Array([0xff])])),
      };
    case 6:
      return { struct: Array.from({ length: random.below(5) }, () => randomArg(random, [], depth + 1)) };
    default:
      return earlier.length > 0 && depth === 0 ? { result: random.pick(earlier) } : 0;
  }
}

test("whatever a tape says, its bytes say it", () => {
  const seed = 4;
  const random = seededRandom(seed);
  for (const arch of ["x86_64", "aarch64"] as const) {
    const calls = [...SYSCALLS[arch].keys(), ...OPERATIONS];
    for (let round = 0; round < 200; round++) {
      const ids = Array.from({ length: 1 + random.below(20) }, (_, index) => `step ${index}`);
      const steps = ids.map((id, index): Step => ({
        call: random.pick(calls),
        args: Array.from({ length: random.below(7) }, () => randomArg(random, ids.slice(0, index))),
        label: `seed ${seed}, round ${round}`,
        id,
        ...(random.chance(0.4)
          ? { jump: { when: random.pick(["zero", "nonzero", "error", "always"] as const), to: random.pick(ids) } }
          : random.chance(0.2)
          ? { jump: { when: "error", only: 1 + random.below(4095), to: random.pick(ids) } }
          : {}),
        ...(random.chance(0.3) ? { ignore: true } : {}),
        ...(random.chance(0.3) ? { retry: true } : {}),
      }));
      checkEncoding(
        makeTape(steps, { small: { sizeBytes: 3, bytes: random.bytes(2) }, odd: { sizeBytes: 13 } }, random.below(100)),
        arch,
      );
    }
  }
});

test("arguments lie side by side: none overlaps another", () => {
  const texts = Array.from({ length: 100 }, (_, index) => "x".repeat(index) + index);
  const { bytes, view } = encode(makeTape(texts.map((text) => step("chdir", [text], "enter"))));
  texts.forEach((text, index) => {
    const at = Number(view.getBigUint64(HEADER.SIZE + index * RECORD.SIZE + RECORD.arg, true)) - BASE;
    assert.equal(at % 8, 0);
    assert.equal(new TextDecoder().decode(bytes.subarray(at, at + text.length + 1)), `${text}\0`);
  });
});

test("one environment that is given to several steps is in the tape once", () => {
  const env = { strings: Array.from({ length: 1000 }, (_, index) => `NAME${index}=${"x".repeat(100)}`) };
  const execute = (path: string) => step("execve", [path, { strings: ["x"] }, env], "execute", path, { ignore: true });
  const once = encode(makeTape([execute("/bin/x")])).bytes.length;
  const often = encode(makeTape(Array.from({ length: 50 }, (_, index) => execute(`/bin/${index}`)))).bytes.length;
  assert.ok(often < once + 50 * 200, `${once} bytes for one, ${often} for fifty`);
});

test("A-036 200,000 environment values, an argument of a megabyte and 70,000 bytes of mount data are encoded as they are", () => {
  const env = Array.from({ length: 200_000 }, (_, index) => `NAME${index}=value ${index}`);
  checkEncoding(
    makeTape([
      step("execve", ["/x", { strings: ["x", "y".repeat(1 << 20)] }, { strings: env }], "execute"),
      step("mount", ["a", "b", "c", 0, "o".repeat(70_000)], "mount"),
    ]),
    "x86_64",
  );
});

test("A-036 5,000 steps with jumps and results across them are encoded as they are", () => {
  const steps = Array.from({ length: 5000 }, (_, index): Step => ({
    call: "mount",
    args: [index === 0 ? 0 : { result: `step ${index >> 1}` }, `/mount/${index}`, "tmpfs", 0, 0],
    label: "mount",
    id: `step ${index}`,
    jump: { when: "error", to: `step ${4999 - index}` },
  }));
  // step 1 takes the result of step 0, and no step its own
  checkEncoding(makeTape(steps), "aarch64");
});

test("A-036 a tape that is too large is refused, not cut", () => {
  assert.throws(
    () => encode(makeTape([step("execve", ["/x", { strings: ["y".repeat(65 << 20)] }, 0], "execute")])),
    /larger than 67108864 bytes/,
  );
  assert.throws(() => encode(makeTape([], { huge: { sizeBytes: 1 << 30 } })), /larger than/);
  assert.throws(
    () => encode(makeTape(Array.from({ length: 100_001 }, () => mark("", "")))),
    /100001 steps, at most 100000/,
  );
});

test("A-036 a NUL in a string is refused, since the kernel would see another one", () => {
  const NUL = /NUL/;
  assert.throws(() => encode(makeTape([step("chdir", ["/a\0b"], "enter")])), NUL);
  assert.throws(() => encode(makeTape([step("execve", ["/x", { strings: ["a\0"] }, 0], "execute")])), NUL);
  const bytes = new Uint8Array([0x41, 0, 0x42]);
  assert.throws(() => encode(makeTape([step("execve", ["/x", { strings: [bytes] }, 0], "execute")])), NUL);
  // bytes that are no string may hold any
  assert.doesNotThrow(() => encode(makeTape([step("write", [1, bytes, 3], "write")])));
});

test("A-036 a result is used only behind the step that gives it", () => {
  const use = (id: string) => step("close", [{ result: id }], "close");
  const open = step("dup", [5], "copy", "", { id: "copy" });
  assert.doesNotThrow(() => encode(makeTape([open, use("copy")])));
  assert.throws(() => encode(makeTape([use("copy"), open])), /"close" uses the result of "copy" before it is there/);
  assert.throws(
    () => encode(makeTape([step("dup", [{ result: "self" }], "copy", "", { id: "self" })])),
    /before it is/,
  );
  assert.throws(() => encode(makeTape([use("nobody")])), /no step called "nobody"/);
  assert.throws(() => encode(makeTape([open, step("x", [], "x")])), /No system call "x"/);
  assert.throws(
    () => encode(makeTape([open, step("write", [1, { struct: [{ result: "copy" }] }, 8], "write")])),
    /struct cannot hold the result/,
  );
});

test("a jump is for one error only if it is one on errors, and that is an error's number", () => {
  const jump = { when: "error", to: "end" } as const;
  for (const only of [0, -1, 4096, 1.5, NaN]) {
    const steps = [step("getpid", [], "ask", "", { jump: { ...jump, only } }), mark("end", "")];
    assert.throws(() => encode(makeTape(steps)), RangeError);
  }
  const steps = [step("getpid", [], "ask", "", { jump: { when: "zero", to: "end", only: 2 } }), mark("end", "")];
  assert.throws(() => encode(makeTape(steps)), RangeError);
});

test("A-036 a jump goes to a step that is there", () => {
  assert.throws(() => encode(makeTape([jumpTo("nowhere", "jump")])), /no step called "nowhere"/);
  assert.throws(() => encode(makeTape([mark("a", ""), mark("a", "")])), /two steps called "a"/);
  // names of JavaScript's own are names as any others
  for (const name of ["__proto__", "constructor", "toString"]) {
    assert.throws(() => encode(makeTape([jumpTo(name, "jump")])), /no step called/);
    assert.doesNotThrow(() => encode(makeTape([mark(name, ""), jumpTo(name, "jump")])));
    assert.throws(() => encode(makeTape([step("read", [0, { buffer: name }, 1], "read")])), /no buffer called/);
  }
});

test("A-036 numbers that do not fit are refused, not cut", () => {
  for (const number of [0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => encode(makeTape([step("close", [number], "close")])), /must be an integer/);
  }
  for (const number of [1n << 64n, -(1n << 63n) - 1n]) {
    assert.throws(() => encode(makeTape([step("close", [number], "close")])), /must fit 64 bits/);
  }
  for (const errorFd of [-1, 0.5, NaN, 2 ** 31]) {
    assert.throws(() => encode(makeTape([], {}, errorFd)), /Error descriptor/);
  }
  const seven = [0, 0, 0, 0, 0, 0, 0];
  assert.throws(() => encode(makeTape([step("close", seven, "close")])), /7 arguments, at most 6/);
});

test("A-036 addresses stay inside of their buffer", () => {
  const read = (offset: number) => step("read", [0, { buffer: "b", offset }, 1], "read");
  const buffers = { b: { sizeBytes: 8 } };
  // one behind the last byte is an address as well, of nothing
  for (const offset of [0, 7, 8]) assert.doesNotThrow(() => encode(makeTape([read(offset)], buffers)));
  for (const offset of [-1, 9, 0.5, NaN, 2 ** 32]) {
    assert.throws(() => encode(makeTape([read(offset)], buffers)), /outside of buffer "b"/);
  }
  for (const sizeBytes of [-1, 0.5, NaN]) {
    assert.throws(() => encode(makeTape([], { b: { sizeBytes } })), /whole number of bytes/);
  }
  assert.throws(() => encode(makeTape([], { b: { sizeBytes: 1, bytes: new Uint8Array(2) } })), /cannot hold 2/);
});

test("operations have the same numbers on both architectures, system calls their own", () => {
  const tape = makeTape([operate("nop", [], "nothing"), step("getpid", [], "ask")]);
  const numbers = (arch: Arch) => {
    const { view } = encode(tape, arch);
    return [0, 1].map((index) => view.getUint32(HEADER.SIZE + index * RECORD.SIZE + RECORD.nr, true));
  };
  assert.deepEqual(numbers("x86_64"), [0x10004, 39]);
  assert.deepEqual(numbers("aarch64"), [0x10004, 172]);
});
