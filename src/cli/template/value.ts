import { entriesOf, isMap } from "./json.ts";

/** A floating-point constant whose value is whole: `1.0`, which Go does not take for an integer. */
export class GoFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** The kinds that templates tell apart. */
export type Kind = "nil" | "bool" | "int" | "float" | "string" | "slice" | "map" | "struct";

export function kindOf(value: unknown): Kind {
  switch (typeof value) {
    case "string":
      return "string";
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return Number.isSafeInteger(value) ? "int" : "float";
    case "object":
      if (value === null) return "nil";
      if (Array.isArray(value)) return "slice";
      if (value instanceof GoFloat) return "float";
      return isMap(value) ? "map" : "struct";
    default:
      return "nil";
  }
}

/** The value of a number of either kind. */
export function numberOf(value: unknown): number {
  return value instanceof GoFloat ? value.value : Number(value);
}

/** Go's name of a value's type, as messages say it. */
export function typeName(value: unknown): string {
  const kind = kindOf(value);
  switch (kind) {
    case "nil":
      return "nil";
    case "float":
      return "float64";
    case "slice":
      return (value as unknown[]).every((element) => typeof element === "string") ? "[]string" : "[]interface {}";
    case "map":
      return [...entriesOf(value as object)].every(([, field]) => typeof field === "string")
        ? "map[string]string"
        : "map[string]interface {}";
    default:
      return kind;
  }
}

/** Whether `if`, `and`, `or`, `not` take it for true: all but false, 0, "", nil and what is empty. */
export function isTrue(value: unknown): boolean {
  switch (kindOf(value)) {
    case "nil":
      return false;
    case "bool":
      return value === true;
    case "int":
    case "float":
      return numberOf(value) !== 0;
    case "string":
      return value !== "";
    case "slice":
      return (value as unknown[]).length > 0;
    case "map":
      return countEntries(value as object) > 0;
    default:
      return true;
  }
}

/** How many entries a map or record has. */
export function countEntries(value: object): number {
  return value instanceof Map ? value.size : Object.keys(value).length;
}

/** A field of a record or map by its own name, never JavaScript's: `has` tells a missing one from an undefined one. */
export function lookUp(value: unknown, name: string): { has: boolean; value: unknown } {
  if (value instanceof Map) return { has: value.has(name), value: value.get(name) };
  if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
    return { has: false, value: undefined };
  }
  return { has: true, value: (value as Record<string, unknown>)[name] };
}

/** A value as `{{.X}}` and `%v` print it in Go: `[a b]`, `map[k:v]`, `{a b}`. */
export function showValue(value: unknown, depth = 0): string {
  if (depth > 100) return "…";
  switch (kindOf(value)) {
    case "nil":
      return "<nil>";
    case "float":
      return showFloat(numberOf(value));
    case "slice":
      return `[${(value as unknown[]).map((element) => showValue(element, depth + 1)).join(" ")}]`;
    case "map":
      return `map[${
        entriesOf(value as object).map(([key, field]) => `${key}:${showValue(field, depth + 1)}`).join(" ")
      }]`;
    case "struct":
      return `{${Object.values(value as object).map((field) => showValue(field, depth + 1)).join(" ")}}`;
    default:
      return String(value);
  }
}

/** A float as Go's %v: the shortest digits, with an exponent below 1e-4 and from 1e21 on. */
export function showFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e21)) return padExponent(value.toExponential());
  // JavaScript has an exponent below 1e-6 only, and none of its own below 1e21
  return String(value);
}

/** Go writes at least two digits of an exponent. */
function padExponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}
