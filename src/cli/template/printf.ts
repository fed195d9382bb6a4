import { formatExponential, formatFixed, formatGeneral } from "./decimal.ts";
import { kindOf, numberOf, showFloat, showValue, typeName } from "./value.ts";
import { entriesOf } from "./json.ts";

/** Most that a width or precision may be: a template must not ask for gigabytes. Go's own limit is a million. */
const MAX_WIDTH = 10_000;

interface Spec {
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number | undefined;
  precision: number | undefined;
  verb: string;
}

/** Go's fmt.Sprintf for the values of templates, with its ways of showing mistakes: `%!d(string=x)`, `%!s(MISSING)`. */
export function formatPrintf(format: string, args: readonly unknown[]): string {
  let out = "";
  let next = 0;
  let reordered = false;
  let i = 0;
  while (i < format.length) {
    const percent = format.indexOf("%", i);
    if (percent < 0) break;
    out += format.slice(i, percent);
    i = percent + 1;
    const spec: Spec = {
      minus: false,
      plus: false,
      sharp: false,
      space: false,
      zero: false,
      width: undefined,
      precision: undefined,
      verb: "",
    };
    for (; i < format.length; i++) {
      const flag = format[i];
      if (flag === "-") spec.minus = true;
      else if (flag === "+") spec.plus = true;
      else if (flag === "#") spec.sharp = true;
      else if (flag === " ") spec.space = true;
      else if (flag === "0") spec.zero = true;
      else break;
    }
    const readIndex = (): void => {
      const match = /^\[([0-9]{1,6})\]/.exec(format.slice(i, i + 8));
      if (match === null) return;
      next = Number(match[1]) - 1;
      reordered = true;
      i += match[0].length;
    };
    const readSize = (): number | undefined => {
      readIndex();
      if (format[i] === "*") {
        i++;
        const value = args[next++];
        return kindOf(value) === "int" ? numberOf(value) : undefined;
      }
      const match = /^[0-9]+/.exec(format.slice(i, i + 20));
      if (match === null) return undefined;
      i += match[0].length;
      return Number(match[0]);
    };
    const width = readSize();
    if (width !== undefined) {
      spec.width = Math.min(Math.abs(width), MAX_WIDTH);
      if (width < 0) spec.minus = true;
    }
    if (format[i] === ".") {
      i++;
      spec.precision = Math.min(Math.max(readSize() ?? 0, 0), MAX_WIDTH);
    }
    readIndex();
    if (i >= format.length) {
      out += "%!(NOVERB)";
      break;
    }
    spec.verb = String.fromCodePoint(format.codePointAt(i) ?? 0);
    i += spec.verb.length;
    if (spec.verb === "%") {
      out += "%";
    } else if (next < 0 || next >= args.length) {
      out += reordered ? `%!${spec.verb}(BADINDEX)` : `%!${spec.verb}(MISSING)`;
    } else out += formatArgument(args[next++], spec);
  }
  out += format.slice(i);
  if (!reordered && next < args.length) {
    const extra = args.slice(next).map((value) => {
      return kindOf(value) === "nil" ? "<nil>" : `${typeName(value)}=${showValue(value)}`;
    });
    out += `%!(EXTRA ${extra.join(", ")})`;
  }
  return out;
}

function formatArgument(value: unknown, spec: Spec): string {
  const kind = kindOf(value);
  if (spec.verb === "T") return pad(kind === "nil" ? "<nil>" : typeName(value), spec);
  if (spec.verb === "v") return formatV(value, spec);
  switch (kind) {
    case "nil":
      return `%!${spec.verb}(<nil>)`;
    case "bool":
      return spec.verb === "t" ? pad(String(value), spec) : bad(value, spec);
    case "int":
      return formatInt(typeof value === "bigint" ? value : BigInt(numberOf(value)), spec) ?? bad(value, spec);
    case "float":
      return formatFloat(numberOf(value), spec) ?? bad(value, spec);
    case "string":
      return formatString(value as string, spec) ?? bad(value, spec);
    case "slice":
      return `[${(value as unknown[]).map((element) => formatArgument(element, spec)).join(" ")}]`;
    case "map":
    case "struct": {
      const entries = entriesOf(value as object);
      if (kind === "struct") return `{${entries.map(([, field]) => formatArgument(field, spec)).join(" ")}}`;
      const shown = entries.map(([key, field]) => `${formatArgument(key, spec)}:${formatArgument(field, spec)}`);
      return `map[${shown.join(" ")}]`;
    }
    default:
      throw new Error(`Unknown kind ${kind satisfies never}`);
  }
}

function formatV(value: unknown, spec: Spec): string {
  switch (kindOf(value)) {
    case "int":
      return formatArgument(value, { ...spec, verb: "d" });
    case "float":
      return formatArgument(value, { ...spec, verb: "g" });
    case "string":
      return formatArgument(value, { ...spec, verb: spec.sharp ? "q" : "s" });
    default:
      return pad(showValue(value), spec);
  }
}

function bad(value: unknown, spec: Spec): string {
  return `%!${spec.verb}(${typeName(value)}=${showValue(value)})`;
}

function formatInt(value: bigint, spec: Spec): string | undefined {
  const size = value < 0n ? -value : value;
  let digits: string;
  switch (spec.verb) {
    case "d":
      digits = size.toString();
      break;
    case "x":
      digits = (spec.sharp ? "0x" : "") + size.toString(16);
      break;
    case "X":
      digits = (spec.sharp ? "0X" : "") + size.toString(16).toUpperCase();
      break;
    case "o":
      digits = (spec.sharp ? "0" : "") + size.toString(8);
      break;
    case "O":
      digits = "0o" + size.toString(8);
      break;
    case "b":
      digits = (spec.sharp ? "0b" : "") + size.toString(2);
      break;
    case "c":
      return pad(characterOf(value), spec);
    case "q":
      return pad(`'${characterOf(value)}'`, spec);
    case "U":
      return pad(`U+${size.toString(16).toUpperCase().padStart(4, "0")}`, spec);
    default:
      return undefined;
  }
  if (spec.precision !== undefined) digits = digits.padStart(spec.precision, "0");
  return padNumber(value < 0n, digits, spec.precision === undefined ? spec : { ...spec, zero: false });
}

function characterOf(value: bigint): string {
  const inRange = value >= 0n && value <= 0x10ffffn && !(value >= 0xd800n && value <= 0xdfffn);
  return String.fromCodePoint(inRange ? Number(value) : 0xfffd);
}

function formatFloat(value: number, spec: Spec): string | undefined {
  const size = Math.abs(value);
  const precision = Math.min(spec.precision ?? 6, 100);
  let digits: string;
  if (!Number.isFinite(value)) digits = Number.isNaN(value) ? "NaN" : "Inf";
  else {
    switch (spec.verb) {
      case "f":
      case "F":
        digits = formatFixed(size, precision);
        break;
      case "e":
        digits = formatExponential(size, precision);
        break;
      case "E":
        digits = formatExponential(size, precision).toUpperCase();
        break;
      case "g":
      case "G":
        digits = spec.precision === undefined ? showFloat(size) : formatGeneral(size, precision);
        if (spec.verb === "G") digits = digits.toUpperCase();
        break;
      default:
        return undefined;
    }
  }
  return padNumber(value < 0, digits, spec);
}

function formatString(value: string, spec: Spec): string | undefined {
  switch (spec.verb) {
    case "s": {
      const text = spec.precision === undefined ? value : [...value].slice(0, spec.precision).join("");
      return pad(text, spec);
    }
    case "q": {
      const text = spec.precision === undefined ? value : [...value].slice(0, spec.precision).join("");
      return pad(quoteGo(text), spec);
    }
    case "x":
    case "X": {
      const hex = Array.from(new TextEncoder().encode(value), (byte) => byte.toString(16).padStart(2, "0")).join("");
      return pad(spec.verb === "X" ? hex.toUpperCase() : hex, spec);
    }
    default:
      return undefined;
  }
}

/** A string as a Go literal between double quotes. */
export function quoteGo(text: string): string {
  let out = '"';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const known = GO_ESCAPES.get(character);
    if (known !== undefined) out += known;
    else if (code < 0x20 || code === 0x7f) out += "\\x" + code.toString(16).padStart(2, "0");
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character)) out += character;
    else if (code < 0x10000) out += "\\u" + code.toString(16).padStart(4, "0");
    else out += "\\U" + code.toString(16).padStart(8, "0");
  }
  return out + '"';
}

const GO_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\x07", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
  ["\\", "\\\\"],
  ['"', '\\"'],
]);

/** Widths count characters, not bytes or columns: Go's way. */
function pad(text: string, spec: Spec): string {
  const missing = (spec.width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  return spec.minus ? text + " ".repeat(missing) : (spec.zero ? "0" : " ").repeat(missing) + text;
}

function padNumber(negative: boolean, digits: string, spec: Spec): string {
  const sign = negative ? "-" : spec.plus ? "+" : spec.space ? " " : "";
  if (spec.zero && !spec.minus && spec.width !== undefined) {
    return sign + digits.padStart(spec.width - sign.length, "0");
  }
  return pad(sign + digits, { ...spec, zero: false });
}
