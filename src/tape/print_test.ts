import { test } from "node:test";
import assert from "node:assert/strict";
import { SYSCALLS } from "#linux/syscall_numbers.ts";
import { isUnprintable } from "#linux/unprintable.ts";
import { type Random, seededRandom } from "../../tests/support/random.ts";
import { kindsOf, listCalls } from "./calls.ts";
import { FLAG_SETS, NAME_SETS, printFlags } from "./flags.ts";
import { JUMPS, OPERATIONS } from "./layout.ts";
import { describeTape, printTape } from "./print.ts";
import { type Arg, mark, type Step, step, type Tape } from "./step.ts";
import { STRUCTS } from "./structs.ts";

function print(...steps: Step[]): string[] {
  return printTape({ steps, buffers: new Map(), errorFd: 4 });
}

test("every call of the table is one of the kernel's", () => {
  for (const name of listCalls()) {
    const known = SYSCALLS.x86_64.has(name) || SYSCALLS.aarch64.has(name) || name === "fail";
    assert.ok(known, name);
    assert.ok(kindsOf(name, () => undefined).length <= 6, name);
  }
  assert.deepEqual(kindsOf("toString", () => undefined), []);
  assert.deepEqual(kindsOf("__proto__", () => undefined), []);
});

test("fields of structs lie in the struct and do not overlap", () => {
  for (const [name, { sizeBytes, fields }] of Object.entries(STRUCTS)) {
    let end = 0;
    for (const field of fields) {
      assert.ok(field.offset >= end, `${name}.${field.name}`);
      end = field.offset + field.sizeBytes;
      assert.ok((field.highOffset ?? field.offset) + field.sizeBytes <= sizeBytes, `${name}.${field.name}`);
    }
  }
});

test("flags are printed such that their names give the word again", () => {
  const seed = 2;
  const random = seededRandom(seed);
  for (const [name, set] of Object.entries(FLAG_SETS)) {
    const values = new Map(set.bits.map(([value, flag]) => [flag, value]));
    for (let round = 0; round < 200; round++) {
      let word = 0n;
      for (const [value] of set.bits) if (random.chance(0.4)) word |= value;
      if (random.chance(0.2)) word |= 1n << BigInt(random.below(40));
      word &= ~(set.field?.mask ?? 0n);
      const printed = printFlags(set, word);
      const sum = printed.split("|").reduce((all, part) => {
        if (part === "O_RDONLY" || part === "0") return all;
        return all | (values.get(part) ?? BigInt(part));
      }, 0n);
      assert.equal(sum, word, `seed ${seed}: ${name} ${printed}`);
    }
  }
});

test("no name stands for two numbers that a set prints, and no number has two names", () => {
  for (const [name, set] of Object.entries(FLAG_SETS)) {
    const values = set.bits.map(([value]) => value);
    assert.equal(new Set(values).size, values.length, `${name}: ${set.bits.map(([, flag]) => flag).join(" ")}`);
    assert.ok(set.bits.length > 0, name);
  }
  for (const [name, set] of Object.entries(NAME_SETS)) assert.ok(set.size > 0, name);
});

test("values of the environment are shown only to whom asks for them", () => {
  const tape: Tape = {
    steps: [
      step("execve", ["/x", { strings: ["x", "A=arg"] }, {
        strings: ["TOKEN=s3cret", new Uint8Array([0x42, 0x3d, 0xff])],
      }], "execute"),
      step("execveat", [3, "", { strings: ["x"] }, { strings: ["TOKEN=s3cret"] }, 0], "execute"),
    ],
    buffers: new Map(),
    errorFd: 4,
  };
  for (const text of [printTape(tape).join("\n"), JSON.stringify(describeTape(tape))]) {
    assert.ok(!text.includes("s3cret") && !text.includes("xff"), text);
    assert.ok(text.includes("TOKEN=…") && text.includes("A=arg"), text);
  }
  assert.ok(printTape(tape, { showEnvironment: true })[0]!.includes('["TOKEN=s3cret", "B=\\xff"]'));
  assert.ok(JSON.stringify(describeTape(tape, { showEnvironment: true })).includes("s3cret"));
});

test("a jump that is for one error names it", () => {
  assert.deepEqual(
    print(step("close", [5], "close", "it", { jump: { when: "error", to: "end", only: 2 } }), mark("end", "done")),
    ["close it  close(5)  → end on ENOENT", "end: done"],
  );
});

test("a place that is jumped to is named, a result that is used is assigned, others are not", () => {
  assert.deepEqual(
    print(
      step("dup", [5], "copy", "it", { id: "copy" }),
      step("dup", [5], "copy", "it", { id: "unused" }),
      step("close", [{ result: "copy" }], "close", "it", { jump: { when: "always", to: "end" } }),
      mark("end", "done"),
      mark("other", "a remark"),
    ),
    [
      "copy it   $copy = dup(5)",
      "copy it   dup(5)",
      "close it  close($copy)  → end",
      "end: done",
      "a remark",
    ],
  );
});

test("long labels do not push the calls of others away", () => {
  const [first, second] = print(step("getpid", [], "ask", "x".repeat(80)), step("getpid", [], "ask", "y"));
  assert.equal(first, `ask ${"x".repeat(80)}  getpid()`);
  assert.equal(second, "ask y  getpid()");
});

test("the description holds all that the lines tell, as data", () => {
  const described = describeTape({
    steps: [
      step("read", [5, { buffer: "b" }, 8], "read", "it", {
        id: "r",
        retry: true,
        ignore: true,
        jump: { when: "zero", to: "r" },
        hints: { EIO: "a hint" },
      }),
    ],
    buffers: new Map([["b", { sizeBytes: 8 }]]),
    errorFd: 4,
  });
  assert.deepEqual(described, {
    steps: [{
      index: 0,
      label: "read",
      object: "it",
      id: "r",
      call: "read",
      arguments: ["5", "&b", "8"],
      depth: 0,
      jump: { when: "zero", to: "r" },
      ignoresErrors: true,
      repeatsOnInterrupt: true,
      hints: { EIO: "a hint" },
    }],
    buffers: [{ name: "b", sizeBytes: 8 }],
  });
});

test("A-036 five thousand steps and much data are printed, a line each, none endless", () => {
  const strings = Array.from({ length: 200_000 }, (_, index) => `V${index}=${"x".repeat(10)}`);
  const steps = Array.from(
    { length: 5000 },
    (_, index) => step("mount", ["a", `/m${index}`, "x", 0, "o".repeat(70_000)], "mount", `/m${index}`),
  );
  const lines = print(...steps, step("execve", ["/x", { strings: ["y".repeat(1 << 20)] }, { strings }], "execute"));
  assert.equal(lines.length, 5001);
  for (const line of lines) assert.ok(line.length < 2000, line.slice(0, 100));
});

const TEXTS = ["", "x", "\x1b[2J", "\u202e", "a\nb", "é", "\ud800", "${x}", '"', "__proto__", "toString"];

function randomArg(random: Random, ids: readonly string[]): Arg {
  switch (random.below(9)) {
    case 0:
      return random.pick(TEXTS);
    case 1:
      return random.bytes(random.below(70));
    case 2:
      return { result: random.pick([...ids, "none"]) };
    case 3:
      return { buffer: random.pick(["b", "\x1b", "none"]), offset: random.below(40) };
    case 4:
      return { strings: [random.pick(TEXTS), random.bytes(3)] };
    case 5:
      return { struct: Array.from({ length: random.below(8) }, () => randomArg(random, ids)) };
    case 6:
      return random.pick([-1n, 1n << 63n, -(1n << 63n), 0xffff_ffff_ffff_ffffn]);
    default:
      return random.pick([0, 1, -1, -100, 2, 17, 4096, 2 ** 31, 2 ** 32 - 1, 2 ** 52]);
  }
}

test("A-051 whatever a tape holds, it is printed a line a step, and no line holds a control", () => {
  const seed = 3;
  const random = seededRandom(seed);
  const calls = [...listCalls(), ...OPERATIONS, "unknown\x1b", "constructor"];
  for (let round = 0; round < 3000; round++) {
    const ids = ["a", "b c", "\x1b", "__proto__"];
    const steps = ids.map((id): Step => ({
      call: random.pick(calls),
      args: Array.from({ length: random.below(7) }, () => randomArg(random, ids)),
      label: random.pick(TEXTS),
      ...(random.chance(0.5) ? { object: random.pick(TEXTS) } : {}),
      ...(random.chance(0.8) ? { id } : {}),
      ...(random.chance(0.5)
        ? { jump: { when: random.pick(JUMPS.slice(1)) as "zero", to: random.pick([...ids, "nowhere"]) } }
        : {}),
      ...(random.chance(0.3) ? { ignore: true, retry: true } : {}),
    }));
    const tape: Tape = {
      steps,
      buffers: new Map([["b", { sizeBytes: 24, bytes: random.bytes(24) }], ["\x1b", { sizeBytes: 4 }]]),
      errorFd: 4,
    };
    const lines = printTape(tape);
    assert.equal(lines.length, steps.length);
    for (const line of lines) {
      for (const character of line) {
        assert.ok(!isUnprintable(character.codePointAt(0)!), `seed ${seed}, round ${round}: ${JSON.stringify(line)}`);
      }
    }
    for (const { arguments: args } of describeTape(tape).steps) {
      for (const text of args) assert.ok(![...text].some((c) => isUnprintable(c.codePointAt(0)!)), `round ${round}`);
    }
  }
});
