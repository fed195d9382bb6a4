import type { ByteString } from "./bytes.ts";
import type { SparseRun, TarEntry } from "./entry.ts";
import { TarError } from "./error.ts";
import { BLOCK } from "./layout.ts";
import { encodeHeader, encodeSparseHeader, paddingFor, TRAILER } from "./write.ts";

const BUFFER_BYTES = 262_144;

/**
 * Writes an archive as it is pushed: an entry, its content, the next entry. Headers and small files are gathered, so that
 * few pieces go out.
 */
export class TarOutput {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #filled = 0;
  #left = 0;
  #padding: Uint8Array = paddingFor(0);
  #path: ByteString | undefined;
  #total = 0;

  /** @param write Gets pieces that are valid for the call only. */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
    this.#buffer = new Uint8Array(new ArrayBuffer(BUFFER_BYTES));
  }

  /** The bytes of the archive so far. */
  get totalBytes(): number {
    return this.#total;
  }

  /**
   * Begins an entry; exactly as many bytes of content follow as it says.
   * @param runs The parts of a file with holes that follow one after the other; the rest of it is holes.
   * @throws {TarError} As `encodeHeader`.
   */
  entry(entry: TarEntry, runs?: readonly SparseRun[]): void {
    if (this.#left > 0) throw new TarError("size", `its content lacks ${this.#left} bytes`, this.#path);
    this.#path = entry.path;
    if (runs === undefined) {
      this.#put(encodeHeader(entry));
      this.#left = entry.sizeBytes;
    } else {
      this.#put(encodeSparseHeader(entry, runs));
      this.#left = runs.reduce((sum, { length }) => sum + length, 0);
    }
    this.#padding = paddingFor(this.#left % BLOCK);
  }

  /** @throws {TarError} size, when it is more than the entry says. */
  data(bytes: Uint8Array): void {
    if (bytes.length > this.#left) throw new TarError("size", "its content is longer than it said", this.#path);
    this.#left -= bytes.length;
    this.#put(bytes);
    if (this.#left === 0) this.#put(this.#padding);
  }

  /** Ends the archive. */
  finish(): void {
    if (this.#left > 0) throw new TarError("size", `its content lacks ${this.#left} bytes`, this.#path);
    this.#put(TRAILER);
    this.flush();
  }

  /** Hands on what was gathered. */
  flush(): void {
    if (this.#filled > 0) this.#write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }

  #put(bytes: Uint8Array): void {
    this.#total += bytes.length;
    if (this.#filled + bytes.length > BUFFER_BYTES || bytes.length >= BUFFER_BYTES / 2) this.flush();
    if (bytes.length >= BUFFER_BYTES / 2) return this.#write(bytes);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }
}
