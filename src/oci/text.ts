import { isUnprintable } from "#linux/unprintable.ts";

/**
 * Makes outside text safe to show on a terminal or in a log line: what `isUnprintable` names becomes an escape such as `\x1b` or `\u202e`.
 * @param maxLength Characters after which the text is cut and `…` is added.
 */
export function escapeText(text: string, maxLength = 1000): string {
  if (text.length <= maxLength && PLAIN.test(text)) return text;
  let out = "";
  let count = 0;
  for (const character of text) {
    if (count++ >= maxLength) return out + "…";
    const code = character.codePointAt(0) ?? 0;
    if (!isUnprintable(code)) out += character;
    else if (code === 0x0a) out += "\\n";
    else if (code === 0x09) out += "\\t";
    else if (code === 0x0d) out += "\\r";
    else if (code < 0x100) out += "\\x" + code.toString(16).padStart(2, "0");
    else out += "\\u" + code.toString(16).padStart(4, "0");
  }
  return out;
}

const PLAIN = /^[\x20-\x7e]*$/;

/** Quotes an outside value for a message: escaped, cut at 200 characters, between double quotes. */
export function quote(text: string, maxLength = 200): string {
  return '"' + escapeText(text, maxLength) + '"';
}
