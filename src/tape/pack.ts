import { type Field, type StructName, STRUCTS } from "./structs.ts";

/**
 * The bytes of a struct, by the table that the printer reads it with: `packStruct("winsize", { ws_row: 24, ws_col: 80 })`.
 * Fields that are not named are zero.
 * @throws {RangeError} When the struct has no such field, or a value does not fit into it: one that was cut would be
 * another id, size or flag.
 */
export function packStruct(
  name: StructName,
  values: Readonly<Record<string, number | bigint>>,
): Uint8Array<ArrayBuffer> {
  const { sizeBytes, fields } = STRUCTS[name];
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  for (const [key, value] of Object.entries(values)) {
    const field = fields.find((candidate) => candidate.name === key);
    if (field === undefined) throw new RangeError(`Struct ${name} has no field "${key}"`);
    writeField(view, 0, name, field, value);
  }
  return bytes;
}

/**
 * Numbers of one kind, side by side: the ids of setgroups(2), for example.
 * @throws {RangeError} When one does not fit.
 */
export function packList(name: "id" | "int" | "word", values: readonly (number | bigint)[]): Uint8Array<ArrayBuffer> {
  const { sizeBytes, fields: [field] } = STRUCTS[name];
  const bytes = new Uint8Array(sizeBytes * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => writeField(view, index * sizeBytes, name, field!, value));
  return bytes;
}

function writeField(view: DataView, base: number, struct: StructName, field: Field, value: number | bigint): void {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw new RangeError(`${struct}.${field.name} must be an integer, got ${value}`);
  }
  const bits = field.highOffset === undefined ? field.sizeBytes * 8 : 64;
  const word = BigInt(value);
  const fits = field.signed ? BigInt.asIntN(bits, word) === word : BigInt.asUintN(bits, word) === word;
  if (!fits || bits > 64) throw new RangeError(`${struct}.${field.name} has ${bits} bits and cannot hold ${value}`);
  const at = base + field.offset;
  for (let k = 0; k < field.sizeBytes; k++) {
    view.setUint8(at + k, Number(BigInt.asUintN(64, word) >> BigInt(k * 8) & 0xffn));
  }
  if (field.highOffset !== undefined) view.setUint32(base + field.highOffset, Number(word >> 32n), true);
}
