import { DugoutError } from "#oci/error.ts";

/**
 * A `--format` that cannot be read or used. The words are those of docker (Go's text/template), which scripts and people know.
 * @param place `1` (line) for a text that cannot be read; `1:9` (line, byte) and what stood there for one that cannot be used.
 */
export function templateError(place: string, message: string): DugoutError {
  return new DugoutError("TEMPLATE", `template parsing error: template: :${place}: ${message}`, { exitCode: 1 });
}
