/**
 * Reading the events that events.ts writes: those that were, and those that come.
 *
 * @module
 */
import { addressOf, allocate } from "#ffi/mod.ts";
import { type Fd, tryCall } from "#linux/call.ts";
import { AT_FDCWD, close, O_NOFOLLOW, O_RDONLY, openAt } from "#linux/file.ts";
import { statName } from "#linux/stat.ts";
import { isJsonObject, type JsonObject, parseJson } from "#oci/json.ts";
import { type EngineEvent, type EventPlace, eventsPath } from "./events.ts";

/** An event that was read. */
export type SeenEvent = EngineEvent & { readonly timeMs: number };

const CHUNK_BYTES = 64 << 10;
/** Longer than any line that is written: such a one is damage, and passed over. */
const MAX_LINE_BYTES = 1 << 20;

/** Events of one store, as far as they have been written. Close it when done. */
export interface EventReader {
  /** Those that were not read yet, in the order in which they were written. */
  read(): SeenEvent[];
  [Symbol.dispose](): void;
}

/** A file that is read while others append to it. */
interface Tail {
  readonly fd: Fd;
  /** Which file it is, whatever its name becomes. */
  readonly key: string;
  /** The beginning of a line whose end is not written yet. */
  rest: Uint8Array;
}

/** Reads events from the oldest that is kept. */
export function openEventReader(place: EventPlace): EventReader {
  const path = eventsPath(place.runRoot);
  const tails: Tail[] = [];
  const follow = (tail: Tail | undefined): void => {
    if (tail === undefined) return;
    if (tails.some(({ key }) => key === tail.key)) close(tail.fd);
    else tails.push(tail);
  };
  const old = openTail(`${path}.old`);
  follow(old);
  return {
    read() {
      // what is written to the one that was put aside comes before what is in the new one
      follow(openTail(path));
      const events = tails.flatMap((tail) => readTail(tail, place.dataRoot));
      // a writer may still have the one before the last one open
      while (tails.length > 2) close(tails.shift()!.fd);
      return events;
    },
    [Symbol.dispose]() {
      for (const { fd } of tails) close(fd);
    },
  };
}

/** The time of an end is that of a file, by a clock that is coarse: it may seem to be before the signal that brought it. */
const SLACK_MS = 20;

/**
 * Puts events that were noted late, such as an end that nobody had looked at, where they belong by their time; others stay
 * in the order in which they were written.
 */
export function orderByTime(events: readonly SeenEvent[]): SeenEvent[] {
  const ordered: SeenEvent[] = [];
  for (const event of events) {
    let at = ordered.length;
    while (at > 0 && ordered[at - 1]!.timeMs > event.timeMs + SLACK_MS) at--;
    ordered.splice(at, 0, event);
  }
  return ordered;
}

function openTail(path: string): Tail | undefined {
  let fd: Fd;
  try {
    fd = openAt(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW);
  } catch {
    // nothing has happened yet
    return undefined;
  }
  const stat = statName(fd, "");
  if (typeof stat !== "number") return { fd, key: stat.key, rest: new Uint8Array() };
  close(fd);
  return undefined;
}

function readTail(tail: Tail, store: string): SeenEvent[] {
  const events: SeenEvent[] = [];
  const chunk = allocate(CHUNK_BYTES);
  for (;;) {
    const count = tryCall("read", tail.fd, addressOf(chunk), chunk.length);
    if (count <= 0) return events;
    const bytes = joinBytes(tail.rest, chunk.subarray(0, count));
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, start)) {
      const event = end > start ? decodeEvent(bytes.subarray(start, end), store) : undefined;
      if (event !== undefined) events.push(event);
      start = end + 1;
    }
    tail.rest = bytes.slice(bytes.length - start > MAX_LINE_BYTES ? bytes.length : start);
  }
}

const LINE_FEED = 10;

function joinBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** @returns undefined of another store's event, and of what is none. */
function decodeEvent(line: Uint8Array, store: string): SeenEvent | undefined {
  let value;
  try {
    value = parseJson(line, "an event", { maxBytes: MAX_LINE_BYTES });
  } catch {
    return undefined;
  }
  if (!isJsonObject(value) || value["store"] !== store) return undefined;
  const { timeMs, type, action, id, attributes } = value;
  if (typeof timeMs !== "number" || typeof action !== "string" || typeof id !== "string") return undefined;
  if (type !== "container" && type !== "image" && type !== "volume" && type !== "network") return undefined;
  return { timeMs, type, action, id, attributes: readTexts(attributes) };
}

function readTexts(value: JsonObject[string] | undefined): Map<string, string> {
  const texts = new Map<string, string>();
  if (value === undefined || !isJsonObject(value)) return texts;
  for (const [key, text] of Object.entries(value)) if (typeof text === "string") texts.set(key, text);
  return texts;
}
