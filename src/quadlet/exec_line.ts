/**
 * The one encoder of what becomes part of a unit file: a word of a command line comes out of systemd as it went in.
 *
 * @module
 */

/** How a word is meant. */
export type WordMeaning =
  /** As it is: `%` and `$` stand for themselves. For names, labels and all that came from an image or a container. */
  | "literal"
  /** Written by the author of a unit: specifiers (`%h`) and variables (`$X`) are left to systemd. */
  | "template";

const PLAIN = /^[A-Za-z0-9_./:=@+,%$-]+$/;

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ['"', '\\"'],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/**
 * Encodes one word of `ExecStart=` and its kin. Whatever it holds, it is one line: controls become C escapes.
 * @throws {RangeError} For a NUL, which no argument can hold.
 */
export function encodeWord(word: string, meaning: WordMeaning): string {
  if (word.includes("\0")) throw new RangeError("A word of a command line has no NUL");
  const text = meaning === "literal" ? word.replaceAll("%", "%%").replaceAll("$", "$$$$") : word;
  if (PLAIN.test(text)) return text;
  let out = "";
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const known = ESCAPES.get(char);
    if (known !== undefined) out += known;
    else if (code < 0x20 || code === 0x7f) out += `\\x${code.toString(16).padStart(2, "0")}`;
    // C1 controls and the separators that some readers take for an end of line
    else if ((code >= 0x80 && code < 0xa0) || code === 0x2028 || code === 0x2029) {
      out += `\\u${code.toString(16).padStart(4, "0")}`;
    } else out += char;
  }
  return `"${out}"`;
}

/** A command line. Its first word is an absolute path, so that no prefix of systemd's (`-`, `@`, `!`) is read into it. */
export function encodeCommand(words: readonly string[], meaning: WordMeaning): string {
  return words.map((word) => encodeWord(word, meaning)).join(" ");
}

/** A value such as `Description=`: one line, in which specifiers stand for themselves. */
export function encodeValue(text: string): string {
  return text.replaceAll("%", "%%").replaceAll(/[\x00-\x1f\x7f-\x9f\u2028\u2029\\]/g, "?");
}
