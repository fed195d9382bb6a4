/**
 * What differs from one container to the next in a tape that is otherwise the same, and where it stands: holes, which are
 * filled before each start. A container's id is as long as any other one. What may be shorter is given as much room as it may
 * need, and what is left of that is filled with something that means nothing there.
 *
 * @module
 */
import { randomHex } from "#linux/random.ts";

/** What a container has of its own. */
export interface OwnValues {
  /** 64 hexadecimal digits. */
  readonly id: string;
  readonly name: string;
  /** ISO 8601, of 24 characters. */
  readonly created: string;
  readonly ownerPid: number;
  readonly ownerStartTime: string;
  /** When it was started, in milliseconds since 1970. */
  readonly startedMs: number;
}

/** Stand-ins for them while a tape is made. They are random: what looks like one is one. */
export type Tokens = OwnValues;

/** Where a value stands: offsets in bytes. */
export interface Hole {
  readonly value: "id" | "shortId" | Exclude<keyof OwnValues, "id">;
  readonly at: number;
  readonly length: number;
  /** The byte that fills what a value leaves: NUL ends a path, blanks mean nothing in JSON. */
  readonly pad: number;
  /** Whether it is a text of JSON, whose closing quote belongs to the hole. */
  readonly quoted: boolean;
}

/** How much of an id people see, and is the host name. */
const SHORT_DIGITS = 12;
/** Names that are longer are not remembered. */
export const MOST_NAME_BYTES = 64;
const [NUL, BLANK, QUOTE] = [0, 0x20, 0x22];

/** Stand-ins for the values of a container. @param id Its own, which stands in the tape already. */
export function makeTokens(id: string): Tokens {
  return {
    id,
    name: randomHex(MOST_NAME_BYTES / 2),
    created: randomHex(12),
    ownerPid: randomNumber(),
    ownerStartTime: randomHex(12),
    startedMs: randomNumber(),
  };
}

/** Fifteen digits, none of them a zero in front. */
function randomNumber(): number {
  return 1e14 + parseInt(randomHex(5), 16);
}

/** Finds where the tokens stand. */
export function findHoles(bytes: Uint8Array, tokens: Tokens): Hole[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const holes: Hole[] = [];
  for (const value of ["name", "created", "ownerPid", "ownerStartTime", "startedMs"] as const) {
    const token = String(tokens[value]);
    for (let at = buffer.indexOf(token, 0, "latin1"); at >= 0; at = buffer.indexOf(token, at + 1, "latin1")) {
      const end = at + token.length;
      const quoted = buffer[end] === QUOTE;
      holes.push({ value, at, length: token.length + Number(quoted), pad: buffer[end] === NUL ? NUL : BLANK, quoted });
    }
  }
  const short = tokens.id.slice(0, SHORT_DIGITS);
  for (let at = buffer.indexOf(short, 0, "latin1"); at >= 0; at = buffer.indexOf(short, at, "latin1")) {
    const isWhole = buffer.toString("latin1", at, at + tokens.id.length) === tokens.id;
    const length = isWhole ? tokens.id.length : SHORT_DIGITS;
    holes.push({ value: isWhole ? "id" : "shortId", at, length, pad: NUL, quoted: false });
    at += length;
  }
  return holes;
}

/** Writes values into the holes. @throws {RangeError} When one is too long. */
export function fillHoles(bytes: Uint8Array, holes: readonly Hole[], values: OwnValues): void {
  const encoder = new TextEncoder();
  const shortId = values.id.slice(0, SHORT_DIGITS);
  for (const { value, at, length, pad, quoted } of holes) {
    const text = value === "shortId" ? shortId : String(values[value]);
    const written = encoder.encode(quoted ? `${text}"` : text);
    if (written.length > length) throw new RangeError(`"${value}" is longer than its ${length} bytes`);
    bytes.set(written, at);
    if (written.length < length) bytes.fill(pad, at + written.length, at + length);
  }
}
