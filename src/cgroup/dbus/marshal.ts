/**
 * Values to bytes and back (D-Bus Specification, "Marshaling"). Little-endian alone: a message has its sender's order, and
 * everything here runs on one machine.
 *
 * @module
 */
import { BusError } from "./error.ts";
import { alignmentOf, type BusValue, endOfType, MOST_DEPTH, splitSignature, type Variant } from "./signature.ts";

/** Bytes that grow; alignment counts from the first. */
export class Writer {
  #bytes = new Uint8Array(512);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #room(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }

  align(to: number): void {
    this.#room((to - this.length % to) % to);
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u32(value: number): void {
    this.align(4);
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  u64(value: bigint): void {
    this.align(8);
    const at = this.#room(8);
    this.#view.setBigUint64(at, value, true);
  }

  /** Sets a word that was written before its value was known. */
  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** Writes values by their signature. @throws {TypeError} When a value is not of its type: a mistake of ours. */
export function writeValues(writer: Writer, signature: string, values: readonly BusValue[]): void {
  const types = splitSignature(signature);
  if (types.length !== values.length) throw new TypeError(`Signature ${signature} is not of ${values.length} values`);
  types.forEach((type, index) => writeValue(writer, type, values[index]!));
}

function writeValue(writer: Writer, type: string, value: BusValue): void {
  const wrong = () => new TypeError(`Value ${String(value)} is not of type ${type}`);
  switch (type.charAt(0)) {
    case "y":
      if (typeof value !== "number" || value < 0 || value > 255) throw wrong();
      return writer.u8(value);
    case "b":
      if (typeof value !== "boolean") throw wrong();
      return writer.u32(value ? 1 : 0);
    case "u":
      if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value >= 2 ** 32) throw wrong();
      return writer.u32(value);
    case "t":
      if (typeof value !== "bigint" || value < 0n) throw wrong();
      return writer.u64(value);
    case "s":
    case "o":
    case "g":
      if (typeof value !== "string" || value.includes("\0")) throw wrong();
      return writeText(writer, type, value);
    case "v": {
      if (typeof value !== "object" || isList(value)) throw wrong();
      writeText(writer, "g", value.signature);
      return writeValues(writer, value.signature, [value.value]);
    }
    case "a":
      if (typeof value !== "object" || !isList(value)) throw wrong();
      return writeArray(writer, type.slice(1), value);
    case "(":
    case "{":
      if (typeof value !== "object" || !isList(value)) throw wrong();
      writer.align(8);
      return writeValues(writer, type.slice(1, -1), value);
    default:
      throw wrong();
  }
}

function isList(value: BusValue): value is readonly BusValue[] {
  return Array.isArray(value);
}

function writeText(writer: Writer, type: string, text: string): void {
  const bytes = new TextEncoder().encode(text);
  if (type === "g") writer.u8(bytes.length);
  else writer.u32(bytes.length);
  writer.raw(bytes);
  writer.u8(0);
}

function writeArray(writer: Writer, type: string, values: readonly BusValue[]): void {
  writer.u32(0);
  const lengthAt = writer.length - 4;
  // the length does not count the padding before the first element
  writer.align(alignmentOf(type));
  const start = writer.length;
  for (const value of values) writeValue(writer, type, value);
  writer.setU32(lengthAt, writer.length - start);
}

/** Bytes that came; every read is checked against their end. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  take(count: number): number {
    const at = this.at;
    if (count > this.#bytes.length - at) throw new BusError("BUS_PROTOCOL", "Message ends in the middle of a value");
    this.at += count;
    return at;
  }

  align(to: number): void {
    this.take((to - this.at % to) % to);
  }

  u8(): number {
    return this.#view.getUint8(this.take(1));
  }

  u32(): number {
    this.align(4);
    return this.#view.getUint32(this.take(4), true);
  }

  word(type: string): number | bigint | boolean {
    this.align(alignmentOf(type));
    const view = this.#view;
    switch (type) {
      case "y":
        return this.u8();
      case "b":
        return this.u32() !== 0;
      case "n":
        return view.getInt16(this.take(2), true);
      case "q":
        return view.getUint16(this.take(2), true);
      case "i":
        return view.getInt32(this.take(4), true);
      case "u":
        return this.u32();
      case "x":
        return view.getBigInt64(this.take(8), true);
      case "t":
        return view.getBigUint64(this.take(8), true);
      default:
        return view.getFloat64(this.take(8), true);
    }
  }

  text(type: string): string {
    const length = type === "g" ? this.u8() : this.u32();
    const at = this.take(length);
    const text = new TextDecoder().decode(this.#bytes.subarray(at, at + length));
    if (this.u8() !== 0) throw new BusError("BUS_PROTOCOL", "Text has no NUL at its end");
    return text;
  }
}

/** Reads values by their signature. @throws {BusError} When the bytes are no such values. */
export function readValues(reader: Reader, signature: string, depth = 0): BusValue[] {
  return splitSignature(signature).map((type) => readValue(reader, type, depth));
}

function readValue(reader: Reader, type: string, depth: number): BusValue {
  if (depth > MOST_DEPTH) throw new BusError("BUS_PROTOCOL", "Values are nested too deeply");
  switch (type.charAt(0)) {
    case "s":
    case "o":
    case "g":
      return reader.text(type.charAt(0));
    case "v": {
      const signature = reader.text("g");
      if (signature === "" || endOfType(signature, 0) !== signature.length) {
        throw new BusError("BUS_PROTOCOL", "Variant is not of one type");
      }
      const variant: Variant = { signature, value: readValue(reader, signature, depth + 1) };
      return variant;
    }
    case "a": {
      const length = reader.u32();
      const element = type.slice(1);
      reader.align(alignmentOf(element));
      const end = reader.at + length;
      // so that no length beyond the message is walked
      const start = reader.take(length);
      reader.at = start;
      const values: BusValue[] = [];
      while (reader.at < end) values.push(readValue(reader, element, depth + 1));
      if (reader.at !== end) throw new BusError("BUS_PROTOCOL", "Array does not end with an element");
      return values;
    }
    case "(":
    case "{":
      reader.align(8);
      return readValues(reader, type.slice(1, -1), depth + 1);
    default:
      return reader.word(type);
  }
}
