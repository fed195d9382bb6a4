import { DugoutError } from "./error.ts";
import { LIMITS } from "./limits.ts";
import { quote } from "./text.ts";

/** A JSON value as `parseJson` gives it. Objects have no prototype, so that a key `__proto__` is a key like any other. */
export type JsonValue = null | boolean | number | bigint | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

/** What a parse may cost. */
export interface JsonLimits {
  maxBytes: number;
  maxDepth?: number;
  /** Whether whole numbers beyond 2^53 - 1 are read, as BigInt: of 64-bit fields. Else they are rounded, and schemas refuse them. */
  wide?: boolean;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class JsonReader {
  readonly text: string;
  readonly what: string;
  readonly maxDepth: number;
  readonly wide: boolean;
  at = 0;

  constructor(text: string, what: string, { maxDepth = LIMITS.jsonDepth, wide = false }: JsonLimits) {
    this.text = text;
    this.what = what;
    this.maxDepth = maxDepth;
    this.wide = wide;
  }

  fail(why: string): never {
    throw new DugoutError("JSON_INVALID", `Cannot read ${this.what}: not valid JSON at character ${this.at}: ${why}`);
  }

  skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  value(depth: number): JsonValue {
    this.skipSpace();
    const code = this.text.charCodeAt(this.at);
    if (code === 0x7b) return this.object(depth + 1);
    if (code === 0x5b) return this.array(depth + 1);
    if (code === QUOTE) return this.string();
    if (code === 0x74) return this.word("true", true);
    if (code === 0x66) return this.word("false", false);
    if (code === 0x6e) return this.word("null", null);
    return this.number();
  }

  word<T extends JsonValue>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail("unknown word");
    this.at += word.length;
    return value;
  }

  number(): number | bigint {
    const pattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.text);
    if (match === null) this.fail(this.at >= this.text.length ? "it ends too early" : "a value was expected");
    const value = Number(match[0]);
    if (!Number.isFinite(value)) this.fail("a number is out of range");
    this.at += match[0].length;
    const isWide = this.wide && !Number.isSafeInteger(value) && /^-?[0-9]{16,20}$/.test(match[0]);
    return isWide ? BigInt(match[0]) : value;
  }

  string(): string {
    const start = this.at;
    let plain = true;
    for (let at = start + 1;; at++) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) {
        this.at = at + 1;
        break;
      }
      if (code === BACKSLASH) {
        plain = false;
        at++;
      }
      // NaN (past the end) is neither below nor above anything
      if (!(code >= 0x20)) {
        this.at = at;
        this.fail(at >= this.text.length ? "a string is not closed" : "a control character in a string");
      }
    }
    if (plain) return this.text.slice(start + 1, this.at - 1);
    try {
      return JSON.parse(this.text.slice(start, this.at)) as string;
    } catch {
      this.at = start;
      return this.fail("a string has an unknown escape");
    }
  }

  enter(depth: number): void {
    if (depth > this.maxDepth) {
      throw new DugoutError("JSON_TOO_DEEP", `Cannot read ${this.what}: nested more than ${this.maxDepth} deep`);
    }
    this.at++;
    this.skipSpace();
  }

  /** After a member: true if another follows, false if the bracket closed. */
  more(close: number): boolean {
    this.skipSpace();
    const code = this.text.charCodeAt(this.at);
    if (code !== 0x2c && code !== close) {
      this.fail(this.at >= this.text.length ? "it ends too early" : "a comma or bracket was expected");
    }
    this.at++;
    return code === 0x2c;
  }

  array(depth: number): JsonValue[] {
    this.enter(depth);
    const values: JsonValue[] = [];
    if (this.text.charCodeAt(this.at) === 0x5d) {
      this.at++;
      return values;
    }
    do values.push(this.value(depth)); while (this.more(0x5d));
    return values;
  }

  object(depth: number): JsonObject {
    this.enter(depth);
    const object: JsonObject = Object.create(null);
    if (this.text.charCodeAt(this.at) === 0x7d) {
      this.at++;
      return object;
    }
    do {
      this.skipSpace();
      if (this.text.charCodeAt(this.at) !== QUOTE) this.fail("a key was expected");
      const key = this.string();
      if (Object.hasOwn(object, key)) {
        // which of two equal keys counts differs between readers, so the document has two meanings
        throw new DugoutError(
          "JSON_DUPLICATE_KEY",
          `Cannot read ${this.what}: the key ${quote(key)} occurs twice in one object`,
        );
      }
      this.skipSpace();
      if (this.text.charCodeAt(this.at) !== 0x3a) this.fail("a colon was expected");
      this.at++;
      object[key] = this.value(depth);
    } while (this.more(0x7d));
    return object;
  }
}

/**
 * Parses JSON from outside strictly (RFC 8259): UTF-8 without errors and without a byte order mark, one meaning only (a key that occurs
 * twice in an object is refused), limited in size and depth. Objects have no prototype.
 * @param what Names the document in messages, as in `the manifest of "docker.io/library/debian"`.
 * @throws {DugoutError} JSON_TOO_LARGE, JSON_TOO_DEEP, JSON_DUPLICATE_KEY, JSON_INVALID.
 */
export function parseJson(input: Uint8Array | string, what: string, limits: JsonLimits): JsonValue {
  if (input.length > limits.maxBytes) {
    throw new DugoutError(
      "JSON_TOO_LARGE",
      `Cannot read ${what}: it has ${input.length} bytes, more than ${limits.maxBytes}`,
    );
  }
  let text: string;
  if (typeof input === "string") text = input;
  else {
    try {
      text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input);
    } catch {
      throw new DugoutError("JSON_INVALID", `Cannot read ${what}: not valid UTF-8`);
    }
  }
  const reader = new JsonReader(text, what, limits);
  const value = reader.value(0);
  reader.skipSpace();
  if (reader.at !== text.length) reader.fail("something follows the value");
  return value;
}

/** Tells a JSON object from arrays and plain values. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Writes JSON; a Map becomes an object with the Map's order and all of its keys. `undefined` members are left out.
 * @param space As in JSON.stringify; nothing by default, which is how documents are hashed.
 */
export function encodeJson(value: unknown, space?: number): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (!(member instanceof Map)) return member;
    const object: Record<string, unknown> = Object.create(null);
    for (const [key, item] of member) object[String(key)] = item;
    return object;
  }, space);
}
