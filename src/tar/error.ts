import { type ByteString, quote } from "./bytes.ts";

/**
 * Why an archive was refused:
 * truncated (it ends inside an entry), empty (no byte at all), checksum (a block that is no header), number, name, pax,
 * sparse, type (an entry type we don't know), size (a size where there can be no content), ambiguous (readers of
 * archives disagree about what this means, so that none may rely on it: A-001), limit.
 */
export type TarErrorCode =
  | "truncated"
  | "empty"
  | "checksum"
  | "number"
  | "name"
  | "pax"
  | "sparse"
  | "type"
  | "size"
  | "ambiguous"
  | "limit";

/** An archive that cannot be read, or an entry that cannot be written. */
export class TarError extends Error {
  readonly code: TarErrorCode;
  /** The entry's name as far as it was known. */
  readonly path: ByteString | undefined;
  /** Where in the uncompressed archive the entry's header begins; undefined when writing. */
  readonly offsetBytes: number | undefined;

  constructor(code: TarErrorCode, problem: string, path?: ByteString, offsetBytes?: number) {
    const entry = path === undefined ? "tar archive" : `tar entry ${quote(path)}`;
    super(`${entry}: ${problem}${offsetBytes === undefined ? "" : ` (at byte ${offsetBytes} of the archive)`}`);
    this.name = "TarError";
    this.code = code;
    this.path = path;
    this.offsetBytes = offsetBytes;
  }
}
