import { DugoutError } from "#oci/error.ts";
import { escapeText } from "#oci/text.ts";

/**
 * A unit file that cannot become a service.
 * @param path The file.
 * @param line Where in it, from 1; undefined where it is the file as a whole.
 * @param why In words that fit behind a colon; parts of the file in it are made safe here.
 */
export function quadletError(path: string, line: number | undefined, why: string, hint?: string): DugoutError {
  const place = line === undefined ? path : `${path}:${line}`;
  return new DugoutError("QUADLET_INVALID", `${escapeText(place)}: ${escapeText(why)}`, { hint, exitCode: 1 });
}
