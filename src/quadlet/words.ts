/**
 * Words of a value, by the rules of systemd's command lines (systemd.service(5), "Command lines"; systemd.syntax(7),
 * "Quoting"): blanks part them, quotes of both kinds keep blanks, C escapes stand for bytes. An escape that systemd does
 * not know stays as it is, as there.
 *
 * @module
 */

const SIMPLE: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["s", " "],
  ["\\", "\\"],
  ['"', '"'],
  ["'", "'"],
]);

/** How many digits, of which base, stand behind an escape's letter. */
const NUMERIC: ReadonlyMap<string, { readonly digits: number; readonly base: number }> = new Map([
  ["x", { digits: 2, base: 16 }],
  ["u", { digits: 4, base: 16 }],
  ["U", { digits: 8, base: 16 }],
]);

/**
 * Splits a value into words.
 * @returns undefined where a quote is not closed, or an escape stands for NUL or for no character.
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < text.length;) {
    const char = text[at] ?? "";
    if (char === "\\") {
      const escape = readEscape(text, at + 1);
      if (escape === undefined) return undefined;
      word = (word ?? "") + escape.text;
      at = escape.end;
      continue;
    }
    at++;
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else word = (word ?? "") + char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === " " || char === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote !== undefined) return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

/** Splits at blanks alone: lists of names, in which nothing is quoted. */
export function splitBlanks(text: string): string[] {
  return text.split(/[ \t]+/).filter((word) => word !== "");
}

/** Reads what stands behind a backslash. */
function readEscape(text: string, from: number): { text: string; end: number } | undefined {
  const letter = text[from];
  if (letter === undefined) return { text: "\\", end: from };
  const simple = SIMPLE.get(letter);
  if (simple !== undefined) return { text: simple, end: from + 1 };
  const octal = /^[0-3][0-7]{2}$/.test(text.slice(from, from + 3));
  const { digits, base } = octal ? { digits: 3, base: 8 } : NUMERIC.get(letter) ?? { digits: 0, base: 0 };
  if (digits === 0) return { text: `\\${letter}`, end: from + 1 };
  const first = octal ? from : from + 1;
  const number = text.slice(first, first + digits);
  if (number.length < digits || !/^[0-9a-fA-F]+$/.test(number)) return { text: `\\${letter}`, end: from + 1 };
  const code = parseInt(number, base);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  return { text: String.fromCodePoint(code), end: first + digits };
}
