import type { TarEntry } from "./entry.ts";
import { TarReader, type TarSink } from "./reader.ts";

/** An entry with its content, for those who want to pull. Content that is not read is passed over. */
export type TarMember = {
  readonly entry: TarEntry;
  /** The file's bytes, holes of sparse files as zeros. To be read before the next member is asked for. */
  readonly content: AsyncGenerator<Uint8Array, void, undefined>;
};

type Event = { entry: TarEntry } | { bytes: Uint8Array; offsetBytes: number } | "end";

/**
 * Reads an archive from a stream of chunks, an entry at a time. Where speed matters use `TarReader`: this one costs some
 * promises an entry. What one chunk holds is all that is kept in memory.
 * @throws {TarError} While iterating members or content.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<TarMember, void, undefined> {
  const events: Event[] = [];
  let next = 0;
  const sink: TarSink = {
    entry: (entry) => void events.push({ entry }),
    data: (bytes, offsetBytes) => void events.push({ bytes, offsetBytes }),
    end: () => void events.push("end"),
  };
  const reader = new TarReader(sink);
  const chunks = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();

  /** The next event, undefined at the archive's end. */
  async function take(): Promise<Event | undefined> {
    while (next === events.length) {
      events.length = 0;
      next = 0;
      const chunk = await chunks.next();
      if (chunk.done) {
        reader.finish();
        return undefined;
      }
      reader.write(chunk.value);
    }
    return events[next++];
  }

  async function* readContent(entry: TarEntry, isOver: () => void): AsyncGenerator<Uint8Array, void, undefined> {
    let offset = 0;
    for (let event = await take(); event !== "end"; event = await take()) {
      if (event === undefined || !("bytes" in event)) throw new Error("Unexpected event inside a tar entry");
      yield* zeros(event.offsetBytes - offset);
      yield event.bytes;
      offset = event.offsetBytes + event.bytes.length;
    }
    isOver();
    yield* zeros(entry.sizeBytes - offset);
  }

  try {
    for (let event = await take(); event !== undefined; event = await take()) {
      if (event === "end" || !("entry" in event)) throw new Error("Unexpected event between tar entries");
      let isRead = false;
      yield { entry: event.entry, content: readContent(event.entry, () => isRead = true) };
      while (!isRead) isRead = await take() === "end";
    }
  } finally {
    await chunks.return?.();
  }
}

const ZEROS = new Uint8Array(65_536);

function* zeros(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}
