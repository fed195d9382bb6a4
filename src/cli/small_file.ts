import { readFileSync } from "node:fs";
import { DugoutError } from "#oci/error.ts";
import { quote } from "#oci/text.ts";

/** Files that flags name (`--env-file`, a seccomp profile) are small. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** A file that a flag names. @throws {DugoutError} FILE_UNREADABLE, FILE_TOO_LARGE. */
export function readSmallFile(path: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new DugoutError("FILE_UNREADABLE", `Cannot read the file ${quote(path)}: ${code}`, { cause: error });
  }
  if (bytes.length > MAX_FILE_BYTES) {
    throw new DugoutError(
      "FILE_TOO_LARGE",
      `Cannot use the file ${quote(path)}: it has more than ${MAX_FILE_BYTES} bytes`,
    );
  }
  return bytes;
}
