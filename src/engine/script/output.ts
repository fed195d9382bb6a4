import type { ByteSource } from "#ffi/mod.ts";
import { DugoutError } from "#oci/error.ts";

/**
 * What a container writes to one of its streams. Until somebody asks for it as a stream it is read and kept, so that a
 * container never waits for a reader that nobody thought of; whoever asks gets what was kept, and then the rest at his
 * own speed.
 */
export class Output {
  /** Resolves when all was read that is to be kept. Rejects with OUTPUT_TOO_LARGE. */
  readonly kept: Promise<void>;
  readonly #name: string;
  readonly #mostBytes: number;
  readonly #source = Promise.withResolvers<ByteSource>();
  readonly #chunks: Uint8Array[] = [];
  #sizeBytes = 0;
  #hasEnded = false;
  #stream: ReadableStream<Uint8Array> | undefined;

  /**
   * @param name For messages: `stdout`.
   * @param mostBytes More than that is not kept: an error.
   */
  constructor(name: string, mostBytes: number) {
    this.#name = name;
    this.#mostBytes = mostBytes;
    this.kept = this.#keep();
    // whoever waits for it hears of it; nobody need
    this.kept.catch(() => {});
    this.#source.promise.catch(() => {});
  }

  /** The container runs, and this is what it writes. */
  open(source: ByteSource): void {
    this.#source.resolve(source);
  }

  /** It will never run; where it runs already, this does nothing. */
  fail(error: unknown): void {
    this.#source.reject(error);
  }

  /** All of it as a stream, which reads no more than it is asked for. */
  stream(): ReadableStream<Uint8Array> {
    this.#stream ??= new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const chunk = await this.#next();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: async () => {
        this.#hasEnded = true;
        await (await this.#source.promise).cancel();
      },
    }, { highWaterMark: 0 });
    return this.#stream;
  }

  /** What was kept, as UTF-8; nothing where it was taken as a stream. */
  text(): string {
    if (this.#stream !== undefined) return "";
    const decoder = new TextDecoder();
    return this.#chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode();
  }

  async #next(): Promise<Uint8Array | undefined> {
    // a read that was under way when the stream was asked for
    await this.kept;
    const chunk = this.#chunks.shift();
    if (chunk !== undefined || this.#hasEnded) return chunk;
    return await (await this.#source.promise).read();
  }

  async #keep(): Promise<void> {
    const source = await this.#source.promise;
    while (this.#stream === undefined) {
      const chunk = await source.read();
      if (chunk === undefined) {
        this.#hasEnded = true;
        return;
      }
      this.#chunks.push(chunk);
      this.#sizeBytes += chunk.length;
      if (this.#sizeBytes > this.#mostBytes && this.#stream === undefined) {
        await source.cancel();
        throw new DugoutError(
          "OUTPUT_TOO_LARGE",
          `Cannot keep what the container writes to ${this.#name}: it has more than ${this.#mostBytes} bytes`,
          { hint: `Read its stream piece by piece (for await … of process.${this.#name}), or set maxOutputBytes` },
        );
      }
    }
  }
}
