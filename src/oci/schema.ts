import * as v from "valibot";
import { type Digest, isDigest } from "./digest.ts";
import { DugoutError } from "./error.ts";
import { isJsonObject, type JsonValue } from "./json.ts";
import { escapeText } from "./text.ts";

/** A whole number from 0 that JavaScript holds exactly; above 2^53 - 1 it is refused rather than rounded. */
export const countSchema = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A whole number, negative ones too. */
export const integerSchema = v.pipe(v.number(), v.safeInteger());

export const digestSchema: v.GenericSchema<Digest> = v.custom<Digest>(
  isDigest,
  (issue) => `not a sha256 or sha512 digest: ${issue.received}`,
);

/**
 * A field that may be absent; Go's JSON writer gives `null` for an empty list or map, so `null` is absent too. The key is left out of the
 * result then.
 */
export function optional<const S extends v.GenericSchema>(schema: S) {
  return v.optional(v.pipe(v.nullable(schema), v.transform((value) => value ?? undefined)));
}

/** An object whose keys are outside text: a Map that keeps every key, `__proto__` too (valibot's `record` drops some, A-087). */
export function mapSchema<S extends v.GenericSchema>(valueSchema: S, maxEntries: number) {
  return v.pipe(
    v.custom<Record<string, unknown>>((value) => isJsonObject(value as JsonValue), "not an object"),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const entries = Object.entries(dataset.value);
      const result = new Map<string, v.InferOutput<S>>();
      if (entries.length > maxEntries) {
        addIssue({ message: `${entries.length} entries, more than ${maxEntries}` });
        return NEVER;
      }
      for (const [key, value] of entries) {
        const parsed = v.safeParse(valueSchema, value);
        if (!parsed.success) {
          addIssue({ message: `${JSON.stringify(key.slice(0, 100))}: ${parsed.issues[0].message}` });
          return NEVER;
        }
        result.set(key, parsed.output);
      }
      return result;
    }),
  );
}

/** An object of which only the keys count, as in ExposedPorts and Volumes: `{"80/tcp": {}}` becomes `["80/tcp"]`. */
export function keysSchema(maxEntries: number) {
  return v.pipe(mapSchema(v.any(), maxEntries), v.transform((map) => [...map.keys()]));
}

/** A list of strings with a limit. */
export function stringsSchema(maxEntries: number) {
  return v.pipe(v.array(v.string()), v.maxLength(maxEntries));
}

/** A copy without the keys whose value is undefined, which `exactOptionalPropertyTypes` wants absent. */
export type Compact<T> = T extends Map<unknown, unknown> ? T
  : T extends readonly unknown[] ? T
  : T extends object ?
      & { [K in keyof T as undefined extends T[K] ? never : K]: T[K] }
      & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> }
  : T;

/** Drops keys whose value is undefined. */
export function compact<T extends object>(value: T): Compact<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Compact<T>;
}

/**
 * Parses a value that came from outside by a schema.
 * @throws {DugoutError} `code`, with the path of the first field that does not fit and why.
 */
export function parseSchema<S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  what: string,
  code: string,
): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = (issue.path ?? []).map((item) => String(item.key)).join(".");
  const where = path === "" ? "" : `${escapeText(path, 200)}: `;
  throw new DugoutError(code, `Cannot use ${what}: ${where}${escapeText(issue.message, 300)}`);
}
