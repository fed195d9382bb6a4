/**
 * Signatures of D-Bus types (D-Bus Specification, "Type System"): those that systemd's calls need, and all that may come in a
 * header. Descriptors (`h`) are not among them: none are sent or taken.
 *
 * @module
 */
import { BusError } from "./error.ts";

/** A value that goes over the bus. A variant carries its own signature; a struct or an entry of a dictionary is a list. */
export type BusValue = number | bigint | string | boolean | readonly BusValue[] | Variant;

export interface Variant {
  readonly signature: string;
  readonly value: BusValue;
}

/** The specification's: arrays and structs, 32 of each; here both together. */
export const MOST_DEPTH = 32;
const MOST_SIGNATURE = 255;

/** To what a value of each type is aligned. */
const ALIGNMENTS: ReadonlyMap<string, number> = new Map([
  ["y", 1],
  ["b", 4],
  ["n", 2],
  ["q", 2],
  ["i", 4],
  ["u", 4],
  ["x", 8],
  ["t", 8],
  ["d", 8],
  ["s", 4],
  ["o", 4],
  ["g", 1],
  ["a", 4],
  ["(", 8],
  ["{", 8],
  ["v", 1],
]);

/** @throws {BusError} When there is no such type. */
export function alignmentOf(type: string): number {
  const alignment = ALIGNMENTS.get(type.charAt(0));
  if (alignment === undefined) throw new BusError("BUS_PROTOCOL", `Type "${type.charAt(0)}" is not known`);
  return alignment;
}

/**
 * Where the complete type that begins at `at` ends.
 * @throws {BusError} When there is none.
 */
export function endOfType(signature: string, at: number, depth = 0): number {
  if (depth > MOST_DEPTH || signature.length > MOST_SIGNATURE) {
    throw new BusError("BUS_PROTOCOL", "Signature is nested too deeply or too long");
  }
  const type = signature.charAt(at);
  switch (type) {
    case "a":
      return endOfType(signature, at + 1, depth + 1);
    case "(":
    case "{": {
      const close = type === "(" ? ")" : "}";
      let end = at + 1;
      while (signature.charAt(end) !== close) end = endOfType(signature, end, depth + 1);
      if (end === at + 1) throw new BusError("BUS_PROTOCOL", "Signature has an empty struct");
      return end + 1;
    }
    default:
      alignmentOf(type);
      return at + 1;
  }
}

/** The complete types of a signature, one behind the other. */
export function splitSignature(signature: string): string[] {
  const types: string[] = [];
  for (let at = 0; at < signature.length;) {
    const end = endOfType(signature, at);
    types.push(signature.slice(at, end));
    at = end;
  }
  return types;
}
