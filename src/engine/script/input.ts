import type { ByteSink } from "#ffi/mod.ts";
import { DugoutError } from "#oci/error.ts";

/** A piece of input: bytes, or text that is sent as UTF-8. */
export type InputChunk = Uint8Array | string;

/** What a container reads can come from these. A ReadableStream is one of them. */
export type InputSource = Iterable<InputChunk> | AsyncIterable<InputChunk> | ReadableStream<InputChunk>;

/** What a container reads. */
export class Input {
  readonly #sink = Promise.withResolvers<ByteSink>();
  #hasEnded: Promise<void> | undefined;
  #stream: WritableStream<InputChunk> | undefined;

  constructor() {
    this.#sink.promise.catch(() => {});
  }

  /** The container runs, and reads what is written there. */
  open(sink: ByteSink): void {
    this.#sink.resolve(sink);
  }

  /** It will never run; where it runs already, this does nothing. */
  fail(error: unknown): void {
    this.#sink.reject(error);
  }

  /** A stream to write to. Its close is what the container sees as the end. */
  stream(): WritableStream<InputChunk> {
    this.#stream ??= new WritableStream<InputChunk>({
      write: async (chunk) => {
        if (await this.#write(chunk)) return;
        throw new DugoutError("STDIN_CLOSED", "Cannot write to the container's stdin: it reads it no more");
      },
      close: () => this.end(),
      abort: () => this.end(),
    });
    return this.#stream;
  }

  /** Writes all of a source, and then the end; stops without an error when the container reads no more. */
  async feed(source: InputSource): Promise<void> {
    try {
      for await (const chunk of source as AsyncIterable<InputChunk>) {
        if (!await this.#write(chunk)) break;
      }
    } finally {
      await this.end();
    }
  }

  /** Closes it; once, whoever asks. */
  end(): Promise<void> {
    this.#hasEnded ??= this.#sink.promise.then((sink) => sink.end());
    return this.#hasEnded;
  }

  async #write(chunk: InputChunk): Promise<boolean> {
    const sink = await this.#sink.promise;
    if (this.#hasEnded !== undefined) return false;
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    return bytes.length === 0 || await sink.write(bytes);
  }
}
