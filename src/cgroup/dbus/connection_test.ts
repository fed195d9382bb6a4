import assert from "node:assert/strict";
import test from "node:test";
import { close, writeAll } from "#linux/file.ts";
import { makeSocketPair, SOCK_NONBLOCK } from "#linux/socket.ts";
import { type Bus, converse } from "./connection.ts";
import { BusError } from "./error.ts";
import { Writer, writeValues } from "./marshal.ts";
import { MESSAGE_TYPE, type MethodCall } from "./message.ts";
import type { BusValue } from "./signature.ts";

const CALL: MethodCall = { destination: "a.b", path: "/a", interface: "a.b", member: "M", signature: "", args: [] };

/** What a bus would send: the body is one text, or nothing. */
function message(type: number, replySerial: number, text?: string): Uint8Array {
  const body = new Writer();
  if (text !== undefined) writeValues(body, "s", [text]);
  const writer = new Writer();
  for (const byte of ["l".charCodeAt(0), type, 0, 1]) writer.u8(byte);
  writer.u32(body.length);
  writer.u32(1);
  const fields: BusValue[] = [[5, { signature: "u", value: replySerial }]];
  if (type === MESSAGE_TYPE.error) fields.push([4, { signature: "s", value: "a.b.Refused" }]);
  if (text !== undefined) fields.push([8, { signature: "g", value: "s" }]);
  writeValues(writer, "a(yv)", [fields]);
  writer.align(8);
  writer.raw(body.finish());
  return writer.finish();
}

const OK = new TextEncoder().encode("OK 0123456789abcdef\r\n");
const HELLO_ANSWER = message(MESSAGE_TYPE.return, 1, ":1.1");

/** A connection to a bus that has sent these bytes already. */
function withScript(
  script: readonly Uint8Array[],
  work: (bus: Bus) => void,
  options = { closes: false, limitMs: 5000 },
): void {
  const [ours, theirs] = makeSocketPair(SOCK_NONBLOCK);
  let isOpen = true;
  try {
    for (const bytes of script) writeAll(theirs, bytes);
    using bus = converse(ours, options.limitMs);
    if (options.closes) {
      close(theirs);
      isOpen = false;
    }
    work(bus);
  } finally {
    if (isOpen) close(theirs);
  }
}

function codeOf(code: string): (error: unknown) => boolean {
  return (error) => error instanceof BusError && error.code === code;
}

test("a call is answered, and what comes in between goes to others", () => {
  const signal = message(MESSAGE_TYPE.signal, 0, "noise");
  withScript([OK, HELLO_ANSWER, signal, message(MESSAGE_TYPE.return, 2, "yes")], (bus) => {
    const others: unknown[] = [];
    const { body } = bus.answer(bus.send(CALL), (other) => others.push(other.body[0]));
    assert.deepEqual(body, ["yes"]);
    assert.deepEqual(others, ["noise"]);
  });
});

test("an error of the other side has its name", () => {
  withScript([OK, HELLO_ANSWER, message(MESSAGE_TYPE.error, 2, "no such unit")], (bus) => {
    assert.throws(() => bus.answer(bus.send(CALL)), (error) => {
      assert.ok(error instanceof BusError);
      assert.equal(error.busName, "a.b.Refused");
      return error.message === "no such unit";
    });
  });
});

test("A-089 a bus that does not let us in, says something else, or hangs up is told apart", () => {
  const refused = new TextEncoder().encode("REJECTED EXTERNAL\r\n");
  withScript([refused], (bus) => assert.throws(() => bus.answer(bus.send(CALL)), codeOf("BUS_REFUSED")));
  withScript(
    [new Uint8Array(2000).fill(0x41)],
    (bus) => assert.throws(() => bus.answer(bus.send(CALL)), codeOf("BUS_PROTOCOL")),
  );
  withScript([OK, HELLO_ANSWER], (bus) => assert.throws(() => bus.receive(), codeOf("BUS_REFUSED")), {
    closes: true,
    limitMs: 5000,
  });
  withScript(
    [OK, new Uint8Array(64).fill(0xff)],
    (bus) => assert.throws(() => bus.answer(bus.send(CALL)), codeOf("BUS_PROTOCOL")),
  );
});

test("A-089 a bus that says nothing, or never what is waited for, holds nobody up", () => {
  withScript([OK], (bus) => assert.throws(() => bus.receive(), codeOf("BUS_TIMEOUT")), { closes: false, limitMs: 20 });
  const noise = message(MESSAGE_TYPE.signal, 0);
  const flood = new Uint8Array(noise.length * 5000);
  for (let at = 0; at < flood.length; at += noise.length) flood.set(noise, at);
  const few = flood.subarray(0, noise.length * 1000);
  withScript([OK, HELLO_ANSWER, few], (bus) => assert.throws(() => bus.answer(99), codeOf("BUS_TIMEOUT")), {
    closes: false,
    limitMs: 20,
  });
});
