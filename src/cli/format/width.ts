/**
 * Columns that a text takes on a terminal: 2 for wide characters of East Asia and pictographs, 0 for marks that join the
 * character before them, 1 for others (Unicode Standard Annex 11). The text holds no control characters.
 */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (JOINS.test(character)) return 0;
  return WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

const ASCII = /^[\x20-\x7e]*$/;
const JOINS = /[\p{Mn}\p{Me}\u200b-\u200d\u2060]/u;

const WIDE: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f900, 0x1f9ff],
  [0x20000, 0x3fffd],
];

/** Cuts a text to so many characters, the last of them `…` where something was cut; docker's lists do that. */
export function cutWithEllipsis(text: string, characters: number): string {
  const all = [...text];
  return all.length <= characters ? text : all.slice(0, characters - 1).join("") + "…";
}

/** Cuts a text so that it takes at most so many columns. */
export function cutToWidth(text: string, columns: number): string {
  let width = 0;
  let out = "";
  for (const character of text) {
    width += characterWidth(character);
    if (width > columns) return out;
    out += character;
  }
  return out;
}
