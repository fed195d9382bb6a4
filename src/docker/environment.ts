/**
 * `-e`, `--env-file`: variables for the container, in Docker's rules.
 *
 * @module
 */
import { DugoutError } from "#oci/error.ts";
import { escapeText, quote } from "#oci/text.ts";
import { flagError } from "./flag_error.ts";
import { MAX_TEXT, splitOnce } from "./text_rules.ts";

/** A variable and its value. */
export type Variable = readonly [name: string, value: string];

/** The caller's own environment: `undefined` for what is not set there. */
export type LookUp = (name: string) => string | undefined;

/** The largest file of variables or labels that is read. */
export const MAX_LIST_FILE_BYTES: number = 16 * 1024 * 1024;

/** More variables are refused: the kernel would (execve(2): a quarter of the stack's limit, 6 MB at most). */
const MAX_VARIABLES = 100_000;

/**
 * Reads one `-e`: `NAME=value`, or `NAME` for the caller's value.
 * @returns `undefined` when the caller has none: then nothing is sent.
 * @throws {DugoutError} FLAG_INVALID; ENV_TOO_LONG with exit code 126.
 */
export function parseVariable(text: string, lookUp: LookUp): Variable | undefined {
  const [name, value] = splitOnce(text, "=");
  if (name === "") throw flagError("--env", text, "the name is empty");
  const found = value ?? lookUp(name);
  return found === undefined ? undefined : checkVariable([name, found], "--env");
}

/**
 * Reads the lines of an `--env-file`: `NAME=value` as it stands, without quotes or escapes; `NAME` for the caller's
 * value. Blanks before a name, empty lines and lines that begin with `#` do not count.
 * @param path For messages.
 */
export function parseEnvFile(bytes: Uint8Array, path: string, lookUp: LookUp): Variable[] {
  const variables: Variable[] = [];
  for (const [name, value] of readListFile(bytes, path, "--env-file")) {
    const found = value ?? lookUp(name);
    if (found !== undefined) variables.push(checkVariable([name, found], "--env-file"));
  }
  return variables;
}

/**
 * The lines of a file of `NAME=value` or `NAME`, as `--env-file` and `--label-file` have them.
 * @throws {DugoutError} LIST_FILE_INVALID with the line's number.
 */
export function readListFile(
  bytes: Uint8Array,
  path: string,
  flag: string,
): (readonly [name: string, value: string | undefined])[] {
  const fail = (line: number | undefined, why: string): DugoutError =>
    new DugoutError(
      "LIST_FILE_INVALID",
      `Cannot read ${quote(path)} for ${flag}${line === undefined ? "" : `: line ${line}`}: ${escapeText(why)}`,
    );
  if (bytes.length > MAX_LIST_FILE_BYTES) throw fail(undefined, `it has more than ${MAX_LIST_FILE_BYTES} bytes`);
  let text: string;
  try {
    // a byte order mark goes; anything that is no UTF-8 is refused rather than changed
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fail(undefined, "it is not UTF-8");
  }
  const entries: (readonly [string, string | undefined])[] = [];
  let number = 0;
  for (const raw of text.split("\n")) {
    number++;
    const line = (raw.endsWith("\r") ? raw.slice(0, -1) : raw).replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    const [name, value] = splitOnce(line, "=");
    if (name === "") throw fail(number, "there is no name before =");
    if (/\s/.test(name)) throw fail(number, `the name "${name.slice(0, 100)}" has blanks`);
    entries.push([name, value]);
  }
  return entries;
}

/** Variables that become parts of lines somewhere: no newline may make them two (A-031). */
const LINE_VARIABLES: ReadonlySet<string> = new Set(["HOME", "USER", "LOGNAME", "SHELL", "HOSTNAME", "PATH"]);

function checkVariable(variable: Variable, flag: string): Variable {
  const [name, value] = variable;
  const bytes = Buffer.byteLength(name) + 1 + Buffer.byteLength(value);
  if (bytes > MAX_TEXT) {
    throw new DugoutError(
      "ENV_TOO_LONG",
      `Cannot pass the variable ${
        quote(name)
      }: ${bytes} bytes, where the kernel takes ${MAX_TEXT} for name, = and value`,
      { exitCode: 126, hint: "Pass it as a file: a bind mount of it, for example" },
    );
  }
  if (name.includes("\0") || value.includes("\0")) throw flagError(flag, name, "the variable has a NUL byte");
  if (LINE_VARIABLES.has(name) && /[\x00-\x1f\x7f]/.test(value)) {
    throw flagError(flag, `${name}=${value}`, "the value has a control character");
  }
  return variable;
}

/**
 * Variables in order, each name once: a later value takes the place of an earlier one.
 * @throws {DugoutError} ENV_TOO_LONG when there are too many.
 */
export function mergeVariables(...lists: Iterable<Variable>[]): Variable[] {
  const merged = new Map<string, string>();
  for (const list of lists) for (const [name, value] of list) merged.set(name, value);
  if (merged.size > MAX_VARIABLES) {
    throw new DugoutError("ENV_TOO_LONG", `Cannot pass ${merged.size} variables: more than ${MAX_VARIABLES}`, {
      exitCode: 126,
    });
  }
  return [...merged];
}
