/** On a record whose JSON has other names than templates see: what stands for it in JSON. */
export const JSON_FORM: unique symbol = Symbol("JSON form");

/** How JSON is laid out. */
export interface JsonLayout {
  /** Spaces a level; 0 for one line. */
  indent: number;
  /** `<`, `>` and `&` as \u003c and so on, as docker does for rows of lists. */
  escapesHtml?: boolean;
}

const MAX_DEPTH = 200;

/**
 * Writes a value as JSON, as docker prints it: objects keep their order, maps (`Map`, or without prototype: keys that came from
 * outside) are sorted by key. Every control and bidi character is escaped, so that the text may go to a terminal.
 * @throws {RangeError} When it is nested more than 200 levels.
 */
export function writeJson(value: unknown, layout: JsonLayout): string {
  return writeLevel(value, layout, 0);
}

function writeLevel(value: unknown, layout: JsonLayout, depth: number): string {
  if (depth > MAX_DEPTH) throw new RangeError(`JSON nested more than ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case "string":
      return quoteJson(value, layout.escapesHtml === true);
    case "boolean":
    case "bigint":
      return String(value);
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "object":
      break;
    default:
      return "null";
  }
  if (value === null) return "null";
  if (JSON_FORM in value) return writeLevel(value[JSON_FORM], layout, depth + 1);
  if (Array.isArray(value)) {
    return wrap("[", value.map((element) => writeLevel(element, layout, depth + 1)), "]", layout, depth);
  }
  const colon = layout.indent === 0 ? ":" : ": ";
  const fields: string[] = [];
  for (const [key, field] of entriesOf(value)) {
    if (field === undefined) continue;
    fields.push(quoteJson(key, layout.escapesHtml === true) + colon + writeLevel(field, layout, depth + 1));
  }
  return wrap("{", fields, "}", layout, depth);
}

function wrap(open: string, parts: readonly string[], close: string, layout: JsonLayout, depth: number): string {
  if (parts.length === 0) return open + close;
  if (layout.indent === 0) return open + parts.join(",") + close;
  const inner = "\n" + " ".repeat(layout.indent * (depth + 1));
  return open + inner + parts.join("," + inner) + "\n" + " ".repeat(layout.indent * depth) + close;
}

/** Whether keys came from outside: such a value is a map, another object is a record of ours. */
export function isMap(value: object): boolean {
  return value instanceof Map || Object.getPrototypeOf(value) === null;
}

/** Keys and values of a record in its order, of a map sorted by key as Go sorts them (by code points). */
export function entriesOf(value: object): [string, unknown][] {
  const entries: [string, unknown][] = value instanceof Map
    ? [...value].map(([key, field]) => [String(key), field])
    : Object.entries(value);
  return isMap(value) ? entries.sort(([a], [b]) => compareText(a, b)) : entries;
}

/** Orders texts by code points, which is the order of their UTF-8 bytes. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // surrogates stand for code points above all others
    return (isSurrogate(x) ? x + 0x10000 : x) - (isSurrogate(y) ? y + 0x10000 : y);
  }
  return a.length - b.length;
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff;
}

function quoteJson(text: string, escapesHtml: boolean): string {
  const pattern = escapesHtml ? UNSAFE_OR_HTML : UNSAFE;
  return JSON.stringify(text).replace(pattern, (character) => {
    return "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0");
  });
}

// what JSON.stringify leaves as it is, and a terminal does not: DEL, C1, bidi controls, separators, the byte order mark
const UNSAFE = /[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
const UNSAFE_OR_HTML = /[<>&\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
