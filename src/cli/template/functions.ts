import { compareText, writeJson } from "./json.ts";
import { formatPrintf } from "./printf.ts";
import { countEntries, isTrue, type Kind, kindOf, lookUp, numberOf, showValue, typeName } from "./value.ts";

/** What a function says when it cannot do what it was asked for; the caller adds where that was. */
export class FunctionFailure extends Error {
  override readonly name = "FunctionFailure";
}

/** What an argument has to be; `any` is also what may be nil. */
type Wanted = "any" | "string" | "int" | "strings";

interface FunctionEntry {
  wants: readonly Wanted[];
  /** What any number of further arguments has to be. */
  rest?: Wanted;
  run: (args: readonly unknown[]) => unknown;
}

/** Most that `pad` adds: a template must not ask for gigabytes. */
const MAX_PAD = 10_000;

const text = (value: unknown): string => String(value);
const count = (value: unknown): number => numberOf(value);

/** Go's own functions of templates, but for `call`, and those that docker adds. `and` and `or` are evaluated by the caller. */
const FUNCTIONS: ReadonlyMap<string, FunctionEntry> = new Map<string, FunctionEntry>([
  ["and", { wants: ["any"], rest: "any", run: (args) => args.find((value) => !isTrue(value)) ?? args.at(-1) }],
  ["or", { wants: ["any"], rest: "any", run: (args) => args.find((value) => isTrue(value)) ?? args.at(-1) }],
  ["not", { wants: ["any"], run: ([value]) => !isTrue(value) }],
  ["eq", { wants: ["any"], rest: "any", run: runEqual }],
  ["ne", { wants: ["any", "any"], run: ([a, b]) => !isEqual(a, b) }],
  ["lt", { wants: ["any", "any"], run: ([a, b]) => compare(a, b) < 0 }],
  ["le", { wants: ["any", "any"], run: ([a, b]) => compare(a, b) <= 0 }],
  ["gt", { wants: ["any", "any"], run: ([a, b]) => compare(a, b) > 0 }],
  ["ge", { wants: ["any", "any"], run: ([a, b]) => compare(a, b) >= 0 }],
  ["len", { wants: ["any"], run: ([value]) => measure(value) }],
  ["index", { wants: ["any"], rest: "any", run: ([value, ...keys]) => keys.reduce(pick, value) }],
  ["slice", { wants: ["any"], rest: "any", run: runSlice }],
  ["print", { wants: [], rest: "any", run: printGo }],
  ["println", { wants: [], rest: "any", run: (args) => args.map((value) => showValue(value)).join(" ") + "\n" }],
  ["printf", { wants: ["string"], rest: "any", run: ([format, ...args]) => formatPrintf(text(format), args) }],
  ["html", { wants: [], rest: "any", run: (args) => escapeHtml(printGo(args)) }],
  ["js", { wants: [], rest: "any", run: (args) => escapeJs(printGo(args)) }],
  ["urlquery", { wants: [], rest: "any", run: (args) => escapeQuery(printGo(args)) }],
  ["json", { wants: ["any"], run: ([value]) => writeJson(value, { indent: 0 }) }],
  ["split", { wants: ["string", "string"], run: ([value, separator]) => text(value).split(text(separator)) }],
  ["join", { wants: ["strings", "string"], run: ([list, separator]) => (list as string[]).join(text(separator)) }],
  ["upper", { wants: ["string"], run: ([value]) => changeCase(text(value), (letter) => letter.toUpperCase()) }],
  ["lower", { wants: ["string"], run: ([value]) => changeCase(text(value), (letter) => letter.toLowerCase()) }],
  ["title", { wants: ["string"], run: ([value]) => toTitle(text(value)) }],
  ["pad", { wants: ["string", "int", "int"], run: runPad }],
  ["truncate", { wants: ["string", "int"], run: runTruncate }],
  ["call", { wants: ["any"], rest: "any", run: ([value]) => failCall(value) }],
]);

export function isFunction(name: string): boolean {
  return FUNCTIONS.has(name);
}

/** Why a call has the wrong number of arguments, in Go's words; undefined when it has not. */
export function checkCount(name: string, given: number): string | undefined {
  const entry = FUNCTIONS.get(name);
  if (entry === undefined) return `"${name}" is not a defined function`;
  const wanted = entry.wants.length;
  if (entry.rest === undefined ? given === wanted : given >= wanted) return undefined;
  return `wrong number of args for ${name}: want ${entry.rest === undefined ? "" : "at least "}${wanted} got ${given}`;
}

/** Why an argument is of the wrong type, in Go's words; undefined when it is not. */
export function checkArgument(name: string, position: number, value: unknown): string | undefined {
  const entry = FUNCTIONS.get(name);
  const wanted = entry?.wants[position] ?? entry?.rest ?? "any";
  const kind = kindOf(value);
  const matches = wanted === "any" || wanted === kind ||
    (wanted === "strings" && kind === "slice" && (value as unknown[]).every((element) => typeof element === "string"));
  return matches
    ? undefined
    : `wrong type for value; expected ${wanted === "strings" ? "[]string" : wanted}; got ${typeName(value)}`;
}

/** The type that an argument has to be, for messages about constants. */
export function wantedType(name: string, position: number): string {
  const entry = FUNCTIONS.get(name);
  const wanted = entry?.wants[position] ?? entry?.rest ?? "any";
  return wanted === "strings" ? "[]string" : wanted;
}

/** @throws {FunctionFailure} */
export function callFunction(name: string, args: readonly unknown[]): unknown {
  const entry = FUNCTIONS.get(name);
  if (entry === undefined) throw new Error(`Function "${name}" was not checked before its call`);
  return entry.run(args);
}

function failCall(value: unknown): never {
  throw new FunctionFailure(kindOf(value) === "nil" ? "call of nil" : `non-function of type ${typeName(value)}`);
}

const BASIC: ReadonlySet<Kind> = new Set<Kind>(["bool", "int", "float", "string"]);

function isEqual(a: unknown, b: unknown): boolean {
  const [x, y] = [kindOf(a), kindOf(b)];
  if (x === "nil" || y === "nil") return x === y;
  if (!BASIC.has(x)) throw new FunctionFailure(`non-comparable type ${showValue(a)}: ${typeName(a)}`);
  if (!BASIC.has(y)) throw new FunctionFailure(`non-comparable type ${showValue(b)}: ${typeName(b)}`);
  if (x !== y) throw new FunctionFailure("incompatible types for comparison");
  return x === "int" || x === "float" ? numberOf(a) === numberOf(b) : a === b;
}

function runEqual([first, ...others]: readonly unknown[]): boolean {
  if (others.length === 0) throw new FunctionFailure("missing argument for comparison");
  return others.some((other) => isEqual(first, other));
}

function compare(a: unknown, b: unknown): number {
  const [x, y] = [kindOf(a), kindOf(b)];
  if (x !== y) throw new FunctionFailure("incompatible types for comparison");
  if (x === "string") return compareText(text(a), text(b));
  if (x === "int" || x === "float") return numberOf(a) - numberOf(b);
  throw new FunctionFailure("invalid type for comparison");
}

function measure(value: unknown): number {
  switch (kindOf(value)) {
    case "string":
      return new TextEncoder().encode(text(value)).length;
    case "slice":
      return (value as unknown[]).length;
    case "map":
    case "struct":
      return countEntries(value as object);
    case "nil":
      throw new FunctionFailure("len of nil pointer");
    default:
      throw new FunctionFailure(`len of type ${typeName(value)}`);
  }
}

/** One step of `index`. What a map of texts does not have is "", as in Go, where every map here is one of texts. */
function pick(value: unknown, key: unknown): unknown {
  switch (kindOf(value)) {
    case "nil":
      throw new FunctionFailure("index of untyped nil");
    case "slice":
      return (value as unknown[])[checkIndex(key, (value as unknown[]).length - 1)];
    case "string": {
      const bytes = new TextEncoder().encode(text(value));
      return bytes[checkIndex(key, bytes.length - 1)];
    }
    case "map":
    case "struct": {
      if (typeof key !== "string") {
        throw new FunctionFailure(`value has type ${typeName(key)}; should be string`);
      }
      const found = lookUp(value, key);
      return !found.has && typeName(value) === "map[string]string" ? "" : found.value;
    }
    default:
      throw new FunctionFailure(`can't index item of type ${typeName(value)}`);
  }
}

function checkIndex(key: unknown, most: number): number {
  if (kindOf(key) !== "int") {
    throw new FunctionFailure(
      kindOf(key) === "nil"
        ? "cannot index slice/array with nil"
        : `cannot index slice/array with type ${typeName(key)}`,
    );
  }
  const index = count(key);
  if (index < 0 || index > most) throw new FunctionFailure(`index out of range: ${index}`);
  return index;
}

function runSlice([value, ...bounds]: readonly unknown[]): unknown {
  if (bounds.length > 3) throw new FunctionFailure(`too many slice indexes: ${bounds.length}`);
  const isText = typeof value === "string";
  if (!isText && !Array.isArray(value)) {
    throw new FunctionFailure(
      kindOf(value) === "nil" ? "slice of untyped nil" : `can't slice item of type ${typeName(value)}`,
    );
  }
  if (isText && bounds.length === 3) throw new FunctionFailure("cannot 3-index slice a string");
  const bytes = isText ? new TextEncoder().encode(value) : undefined;
  const length = bytes?.length ?? (value as unknown[]).length;
  const start = bounds.length > 0 ? checkIndex(bounds[0], length) : 0;
  const end = bounds.length > 1 ? checkIndex(bounds[1], length) : length;
  if (start > end) throw new FunctionFailure(`invalid slice index: ${start} > ${end}`);
  return bytes === undefined
    ? (value as unknown[]).slice(start, end)
    : new TextDecoder().decode(bytes.subarray(start, end));
}

/** Go's fmt.Sprint: a space between two values of which neither is a text. */
function printGo(args: readonly unknown[]): string {
  let out = "";
  for (const [i, value] of args.entries()) {
    if (i > 0 && typeof value !== "string" && typeof args[i - 1] !== "string") out += " ";
    out += showValue(value);
  }
  return out;
}

function runPad([value, before, after]: readonly unknown[]): string {
  if (text(value) === "") return "";
  const sides = [count(before), count(after)];
  for (const side of sides) {
    if (side < 0) throw new FunctionFailure("strings: negative Repeat count");
    if (side > MAX_PAD) throw new FunctionFailure(`more than ${MAX_PAD} spaces`);
  }
  return " ".repeat(sides[0] ?? 0) + text(value) + " ".repeat(sides[1] ?? 0);
}

function runTruncate([value, length]: readonly unknown[]): string {
  if (count(length) < 0) throw new FunctionFailure(`slice bounds out of range [:${count(length)}]`);
  const characters = [...text(value)];
  return characters.length <= count(length) ? text(value) : characters.slice(0, count(length)).join("");
}

/** Letter by letter, as Go does: "ß" has no upper-case letter, only a pair of them. */
function changeCase(value: string, change: (letter: string) => string): string {
  let out = "";
  for (const letter of value) {
    const changed = change(letter);
    out += [...changed].length === 1 ? changed : letter;
  }
  return out;
}

function toTitle(value: string): string {
  let out = "";
  let insideWord = false;
  for (const letter of value) {
    out += insideWord ? letter : changeCase(letter, (character) => character.toUpperCase());
    insideWord = /[\p{L}\p{Nd}_]/u.test(letter);
  }
  return out;
}

const HTML: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&#34;"],
  ["'", "&#39;"],
  ["\0", "\ufffd"],
]);

function escapeHtml(value: string): string {
  return value.replace(/[&<>"'\0]/g, (character) => HTML.get(character) ?? character);
}

const JS: ReadonlyMap<string, string> = new Map([
  ["\\", "\\\\"],
  ["'", "\\'"],
  ['"', '\\"'],
  ["<", "\\u003C"],
  [">", "\\u003E"],
  ["&", "\\u0026"],
  ["=", "\\u003D"],
]);

function escapeJs(value: string): string {
  return value.replace(/[\\'"<>&=\x00-\x1f]/g, (character) => {
    return JS.get(character) ?? "\\u" + character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  });
}

function escapeQuery(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replaceAll("%20", "+").replace(/[!'()*]/g, (character) => {
    return "%" + character.charCodeAt(0).toString(16).toUpperCase();
  });
}
