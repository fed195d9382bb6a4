import { test } from "node:test";
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPlan, forgetPlan, type RememberedPlan, type StoredPlan, writePlan } from "./plan_file.ts";

const hashOf = (number: number) => number.toString(16).padStart(64, "0");
const PLAN: RememberedPlan = {
  key: hashOf(1),
  dataRoot: "/data",
  runRoot: "/run/user/1000/dugout",
  holes: [{ value: "id", at: 3, length: 64, pad: 0, quoted: false }],
  errorFd: 4,
  map: { uid: [{ inside: 0, outside: 1000, count: 1 }], gid: [{ inside: 0, outside: 1000, count: 1 }] },
  uid: 0,
  streams: [false, true, true],
  relays: [{ from: 10, to: 11, output: true }],
  hasTerminal: false,
  image: "héllo",
  labels: [["__proto__", "y"]],
  signalProxy: true,
  notices: [],
};
const STORED: StoredPlan = {
  plan: PLAN,
  tape: new Uint8Array([0, 10, 255, 10, 0]),
  namespace: { tape: new Uint8Array([10, 0, 10]), ids: "0123456789abcdef" },
};

function readPlan(root: string, key: string) {
  const found = findPlan(root, key);
  const read = found?.read();
  return read === undefined ? undefined : { ...read, namespace: found!.namespace };
}

/** The same under another key. */
const storedAs = (number: number): StoredPlan => ({ ...STORED, plan: { ...PLAN, key: hashOf(number) } });

function withRoot(work: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), "dugout-plans-"));
  try {
    work(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test("a plan is read as it was written, for its user alone", () => {
  withRoot((root) => {
    assert.equal(readPlan(root, hashOf(1)), undefined);
    writePlan(root, STORED);
    const { plan, tape, namespace } = readPlan(root, hashOf(1))!;
    assert.deepEqual(plan, PLAN);
    assert.deepEqual([...namespace!.tape], [...STORED.namespace!.tape]);
    assert.equal(namespace!.ids, STORED.namespace!.ids);
    assert.deepEqual([...tape], [...STORED.tape]);
    assert.equal(statSync(join(root, "plans")).mode & 0o777, 0o700);
    assert.equal(statSync(join(root, "plans", hashOf(1))).mode & 0o777, 0o600);
    forgetPlan(root, hashOf(1));
    forgetPlan(root, hashOf(1));
    assert.equal(readPlan(root, hashOf(1)), undefined);
  });
});

test("a plan whose tape makes its namespace itself has no other one", () => {
  withRoot((root) => {
    writePlan(root, { ...STORED, namespace: undefined });
    const { tape, namespace } = readPlan(root, hashOf(1))!;
    assert.equal(namespace, undefined);
    assert.deepEqual([...tape], [...STORED.tape]);
  });
});

test("a plan with any byte changed, cut short or too long is none", () => {
  withRoot((root) => {
    writePlan(root, STORED);
    const file = join(root, "plans", hashOf(1));
    const whole = readFileSync(file);
    for (let at = 0; at < whole.length; at += at < 70 || at > whole.length - 10 ? 1 : 17) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1;
      writeFileSync(file, changed);
      // the line's end behind the checksum says nothing
      if (at !== 64) assert.equal(readPlan(root, hashOf(1)), undefined, `byte ${at}`);
    }
    for (const length of [0, 1, 63, 64, 65, whole.length - 1]) {
      writeFileSync(file, whole.subarray(0, length));
      assert.equal(readPlan(root, hashOf(1)), undefined, `${length} bytes`);
    }
    writeFileSync(file, Buffer.concat([whole, Buffer.alloc(1 << 20)]));
    assert.equal(readPlan(root, hashOf(1)), undefined);
  });
});

test("a plan that is too large is not kept, and the oldest give way", () => {
  withRoot((root) => {
    writePlan(root, { ...STORED, tape: new Uint8Array(1 << 20) });
    assert.equal(existsSync(join(root, "plans")), false);
    for (let number = 0; number < 70; number++) {
      writePlan(root, storedAs(number));
      utimesSync(join(root, "plans", hashOf(number)), 1000 + number, 1000 + number);
    }
    const left = readdirSync(join(root, "plans")).sort();
    assert.deepEqual(left, Array.from({ length: 64 }, (_, index) => hashOf(index + 6)));
  });
});

test("what a killed process left of its writing is removed by a later one", () => {
  withRoot((root) => {
    writePlan(root, STORED);
    const [old, young] = [`${hashOf(2)}.1.new`, `${hashOf(3)}.2.new`];
    for (const name of [old, young]) writeFileSync(join(root, "plans", name), "half");
    utimesSync(join(root, "plans", old), 1000, 1000);
    writePlan(root, storedAs(4));
    assert.deepEqual(readdirSync(join(root, "plans")).sort(), [hashOf(1), young, hashOf(4)].sort());
  });
});

test("A-088 a plan that others may read, that is a link, or that has another name is none", () => {
  withRoot((root) => {
    writePlan(root, STORED);
    const file = join(root, "plans", hashOf(1));
    renameSync(file, join(root, "plans", hashOf(2)));
    assert.equal(readPlan(root, hashOf(2)), undefined);
    symlinkSync(join(root, "plans", hashOf(2)), file);
    assert.equal(readPlan(root, hashOf(1)), undefined);
    rmSync(file);
    renameSync(join(root, "plans", hashOf(2)), file);
    assert.notEqual(readPlan(root, hashOf(1)), undefined);
    chmodSync(file, 0o644);
    assert.equal(readPlan(root, hashOf(1)), undefined);
  });
});
