import { type ByteString, fromBytes, quote } from "./bytes.ts";
import { isZeroBlock } from "./header.ts";
import { BLOCK, HEADER } from "./layout.ts";
import { readNumber } from "./number.ts";

const NUMBERS = new Set<string>(["mode", "uid", "gid", "size", "mtime", "checksum", "deviceMajor", "deviceMinor"]);

/**
 * Prints one header block, a field a line, as it stands: for golden tests and for looking at archives that were refused.
 * Nothing is checked. Numbers that are none print as `?`.
 */
export function printHeader(block: Uint8Array, at = 0): string {
  if (isZeroBlock(block.subarray(at, at + BLOCK), 0)) return "zeros\n";
  let text = "";
  for (const [name, field] of Object.entries(HEADER)) {
    const end = at + field[0] + field[1];
    if (NUMBERS.has(name)) {
      const number = readNumber(block, at, field);
      const shown = Number.isNaN(number) ? "?" : name === "mode" ? `0${number.toString(8)}` : String(number);
      text += `${name} ${shown}\n`;
    } else {
      const bytes = fromBytes(block, at + field[0], end).replace(/\0+$/, "") as ByteString;
      if (bytes !== "") text += `${name} ${quote(bytes)}\n`;
    }
  }
  return text;
}
