import { type ByteString, quote } from "#tar/bytes.ts";
import { type PathRecord, spellValue, spellXattrName } from "./record.ts";

/** Something odd that happened to several entries: the first is named. */
type Oddity = { count: number; first: string };

/** What a layer's archive says and the disk does not hold, by the paths of its tree; and what was odd in it. */
export class LayerNotes {
  readonly #paths = new Map<ByteString, PathRecord>();
  readonly #oddities = new Map<string, Oddity>();

  /** The records so far. */
  get paths(): ReadonlyMap<ByteString, PathRecord> {
    return this.#paths;
  }

  /** The record of a path, for writing into. */
  record(path: ByteString): PathRecord {
    let record = this.#paths.get(path);
    if (record === undefined) this.#paths.set(path, record = {});
    return record;
  }

  recordXattr(path: ByteString, name: ByteString, value: Uint8Array): void {
    const record = this.record(path);
    record.xattrs = { ...record.xattrs, [spellXattrName(name)]: spellValue(value) };
  }

  /** Another name of the same file has the same record. */
  share(path: ByteString, record: PathRecord): void {
    this.#paths.set(path, record);
  }

  /** The path is something else now. */
  forget(path: ByteString): void {
    if (this.#paths.size > 0) this.#paths.delete(path);
  }

  /** @param what One line, the same for all entries that it happened to. */
  note(what: string, path: ByteString): void {
    const known = this.#oddities.get(what);
    if (known !== undefined) known.count++;
    else this.#oddities.set(what, { count: 1, first: quote(path) });
  }

  /** A line for each kind of oddity. */
  warnings(): string[] {
    return [...this.#oddities].map(([what, { count, first }]) =>
      count === 1 ? `${first}: ${what}` : `${first} and ${count - 1} more: ${what}`
    );
  }
}
