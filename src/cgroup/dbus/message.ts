/**
 * Messages (D-Bus Specification, "Message Protocol").
 *
 *     'l' · type · flags · version 1 · body length u32 · serial u32 · header fields a(yv) · padding to 8 · body
 *
 * @module
 */
import { BusError } from "./error.ts";
import { Reader, readValues, Writer, writeValues } from "./marshal.ts";
import type { BusValue, Variant } from "./signature.ts";

export const MESSAGE_TYPE = { call: 1, return: 2, error: 3, signal: 4 } as const;

/** Header fields by their number, with the signature that each must have. */
const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  sender: 7,
  signature: 8,
} as const;
const FIELD_SIGNATURES: ReadonlyMap<number, string> = new Map([
  [FIELD.path, "o"],
  [FIELD.interface, "s"],
  [FIELD.member, "s"],
  [FIELD.errorName, "s"],
  [FIELD.replySerial, "u"],
  [FIELD.destination, "s"],
  [FIELD.sender, "s"],
  [FIELD.signature, "g"],
]);

/** The part in front of the header fields, and their length. */
const FIXED_BYTES = 16;
/** The specification allows 128 MiB; what is asked for here fits in a line. */
export const MOST_MESSAGE_BYTES: number = 256 * 1024;

/** A call of a method. */
export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature: string;
  readonly args: readonly BusValue[];
}

/** A message that came. */
export interface Message {
  readonly type: number;
  readonly serial: number;
  readonly replySerial: number | undefined;
  readonly path: string | undefined;
  readonly interface: string | undefined;
  readonly member: string | undefined;
  readonly errorName: string | undefined;
  readonly body: readonly BusValue[];
}

/** Encodes a call. */
export function encodeCall(call: MethodCall, serial: number): Uint8Array {
  const body = new Writer();
  writeValues(body, call.signature, call.args);
  const field = (number: number, value: string): BusValue => {
    const variant: Variant = { signature: FIELD_SIGNATURES.get(number)!, value };
    return [number, variant];
  };
  const writer = new Writer();
  writer.u8("l".charCodeAt(0));
  writer.u8(MESSAGE_TYPE.call);
  writer.u8(0);
  writer.u8(1);
  writer.u32(body.length);
  writer.u32(serial);
  writeValues(writer, "a(yv)", [[
    field(FIELD.path, call.path),
    field(FIELD.interface, call.interface),
    field(FIELD.member, call.member),
    field(FIELD.destination, call.destination),
    ...(call.signature === "" ? [] : [field(FIELD.signature, call.signature)]),
  ]]);
  writer.align(8);
  writer.raw(body.finish());
  return writer.finish().slice();
}

/**
 * How long the message at the start of these bytes is; undefined as long as too little has come to tell.
 * @throws {BusError} BUS_PROTOCOL, when it is none or too long.
 */
export function messageLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < FIXED_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== "l".charCodeAt(0) || view.getUint8(3) !== 1) {
    throw new BusError("BUS_PROTOCOL", "What came from the bus is no message");
  }
  const fields = view.getUint32(12, true);
  const length = FIXED_BYTES + fields + (8 - fields % 8) % 8 + view.getUint32(4, true);
  if (length > MOST_MESSAGE_BYTES) throw new BusError("BUS_PROTOCOL", `Message of ${length} bytes is too long`);
  return length;
}

/** Decodes one message. @throws {BusError} BUS_PROTOCOL. */
export function decodeMessage(bytes: Uint8Array): Message {
  const reader = new Reader(bytes);
  reader.take(4);
  const bodyLength = reader.u32();
  const serial = reader.u32();
  const [list] = readValues(reader, "a(yv)");
  reader.align(8);
  const fields = new Map<number, BusValue>();
  for (const entry of list as readonly (readonly [number, Variant])[]) {
    const [number, { signature, value }] = entry;
    const expected = FIELD_SIGNATURES.get(number);
    if (expected !== undefined && expected !== signature) {
      throw new BusError("BUS_PROTOCOL", `Header field ${number} is not of its type`);
    }
    fields.set(number, value);
  }
  const text = (number: number) => fields.get(number) as string | undefined;
  const body = bytes.subarray(reader.at);
  if (body.length !== bodyLength) throw new BusError("BUS_PROTOCOL", "Message has another length than it says");
  const bodyReader = new Reader(body);
  const values = readValues(bodyReader, text(FIELD.signature) ?? "");
  if (!bodyReader.isAtEnd) throw new BusError("BUS_PROTOCOL", "Message has more in it than its signature says");
  return {
    type: bytes[1]!,
    serial,
    replySerial: fields.get(FIELD.replySerial) as number | undefined,
    path: text(FIELD.path),
    interface: text(FIELD.interface),
    member: text(FIELD.member),
    errorName: text(FIELD.errorName),
    body: values,
  };
}
