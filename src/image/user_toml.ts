/**
 * dugout's own settings of a user: small TOML files in `$XDG_CONFIG_HOME/dugout`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DugoutError } from "#oci/error.ts";
import { escapeText, quote } from "#oci/text.ts";
import { hasCode } from "./registry/error.ts";
import type { Environment } from "./registry/proxy.ts";

/** Where a user's files are. */
export interface UserPlaces {
  env: Environment;
  /** `$HOME`. */
  home: string;
}

const FILE_BYTES_MAX = 1024 * 1024;

/** Reads one of the files; undefined when there is none. */
export function readUserFile({ env, home }: UserPlaces, name: string): { file: string; text: string } | undefined {
  const file = join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "dugout", name);
  try {
    return { file, text: readFileSync(file, "utf8") };
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** @throws {DugoutError} With the code, when it is no TOML or too large. */
export async function parseUserToml(text: string, file: string, code: string): Promise<unknown> {
  const { parse } = await import("smol-toml");
  try {
    if (text.length > FILE_BYTES_MAX) throw new Error(`it has more than ${FILE_BYTES_MAX} bytes`);
    return parse(text, { maxDepth: 100 });
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] ?? "" : "not TOML";
    throw new DugoutError(code, `Cannot use ${quote(file)}: ${escapeText(why, 300)}`);
  }
}
