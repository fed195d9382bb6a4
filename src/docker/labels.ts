/**
 * `--label`, `--label-file`, `--annotation`: names with values, kept whatever the names are.
 *
 * @module
 */
import { readListFile } from "./environment.ts";
import { flagError } from "./flag_error.ts";
import { checkNoNul, splitOnce } from "./text_rules.ts";

/** Reads one `NAME=value`, or `NAME` for an empty value. */
export function parseLabel(text: string, flag = "--label"): readonly [name: string, value: string] {
  const [name, value = ""] = splitOnce(text, "=");
  if (name === "") throw flagError(flag, text, "the name is empty");
  checkNoNul(flag, text);
  return [name, value];
}

/** Reads a file of labels, one a line. */
export function parseLabelFile(bytes: Uint8Array, path: string): (readonly [name: string, value: string])[] {
  return readListFile(bytes, path, "--label-file").map(([name, value]) => [name, value ?? ""] as const);
}
