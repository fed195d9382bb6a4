import assert from "node:assert/strict";
import test from "node:test";
import { BusError } from "./error.ts";
import { Reader, readValues, Writer, writeValues } from "./marshal.ts";
import { decodeMessage, encodeCall, messageLength } from "./message.ts";
import type { BusValue } from "./signature.ts";
import { scopeCall } from "../systemd.ts";

const SCOPE = scopeCall({ name: "dugout-x.scope", description: 'a "name"\n%h', pids: [4242], slice: undefined });

test("what is written is read again, whatever its alignment", () => {
  const cases: [string, BusValue[]][] = [
    ["s", ["ü"]],
    ["yb", [7, true]],
    ["ytu", [1, 2n ** 63n, 3]],
    ["a(sv)", [[["PIDs", { signature: "au", value: [1, 2] }], ["Delegate", { signature: "b", value: true }]]]],
    ["a{sv}", [[["k", { signature: "s", value: "v" }]]]],
    ["aau", [[[1], [], [2, 3]]]],
    ["yat", [1, []]],
    ["g", ["a(sv)"]],
  ];
  for (const [signature, values] of cases) {
    const writer = new Writer();
    writeValues(writer, signature, values);
    const reader = new Reader(writer.finish());
    assert.deepEqual(readValues(reader, signature), values, signature);
    assert.ok(reader.isAtEnd, signature);
  }
});

test("a call is a message of the length that it says", () => {
  const bytes = encodeCall(SCOPE, 9);
  assert.equal(messageLength(bytes), bytes.length);
  assert.equal(messageLength(bytes.subarray(0, 15)), undefined);
  const message = decodeMessage(bytes);
  assert.equal(message.type, 1);
  assert.equal(message.serial, 9);
  assert.equal(message.member, "StartTransientUnit");
  assert.deepEqual(message.body, SCOPE.args);
});

test("A-089 whatever comes from a bus is a message or an error of the bus", () => {
  const good = encodeCall(SCOPE, 1);
  let state = 1;
  const random = (below: number) => {
    state = Math.imul(state, 1103515245) + 12345 & 0x7fffffff;
    return state % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const bytes = good.slice(0, random(8) === 0 ? random(good.length) : good.length);
    for (let change = random(4); change >= 0; change--) bytes[random(bytes.length || 1)] = random(256);
    try {
      const length = messageLength(bytes);
      if (length !== undefined && length <= bytes.length) decodeMessage(bytes.subarray(0, length));
    } catch (error) {
      assert.ok(error instanceof BusError, `${round}: ${error}`);
    }
  }
});

test("A-089 nesting, lengths and signatures beyond the limits are refused", () => {
  const nested = new Writer();
  for (let depth = 0; depth < 2000; depth++) {
    nested.u8(1);
    nested.raw(new TextEncoder().encode("v\0"));
  }
  assert.throws(() => readValues(new Reader(nested.finish()), "v"), BusError);
  assert.throws(() => readValues(new Reader(new Uint8Array(8)), "a".repeat(64) + "u"), BusError);
  assert.throws(() => readValues(new Reader(Uint8Array.of(255, 255, 255, 255)), "au"), BusError);
  assert.throws(() => readValues(new Reader(new Uint8Array(4)), "()"), BusError);
  assert.throws(() => readValues(new Reader(new Uint8Array(4)), "h"), BusError);
  const long = encodeCall(SCOPE, 1);
  new DataView(long.buffer).setUint32(4, 0x7fffffff, true);
  assert.throws(() => messageLength(long), BusError);
});

test("A-089 a value that is not of its type is never sent", () => {
  for (
    const [signature, value] of [["u", -1], ["u", 2 ** 32], ["s", "a\0b"], ["b", 1], ["u", "1"], ["as", "x"]] as const
  ) {
    assert.throws(() => writeValues(new Writer(), signature, [value]), TypeError, signature);
  }
});

test("A-089 a scope is called by letters and digits of ours alone", () => {
  for (const name of ["a\nExecStart=x.scope", "../x.scope", "x.service", "", "a b.scope", `${"x".repeat(250)}.scope`]) {
    assert.throws(() => scopeCall({ name, description: "", pids: [1], slice: undefined }), RangeError, name);
  }
  assert.throws(() => scopeCall({ name: "x.scope", description: "", pids: [1], slice: "a/b.slice" }), RangeError);
});
