import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { DugoutError } from "#oci/error.ts";
import { mapSchema, optional, parseSchema, stringsSchema } from "#oci/schema.ts";
import { escapeText, quote } from "#oci/text.ts";
import { hasCode } from "./error.ts";
import type { Environment } from "./proxy.ts";

/**
 * What only dugout asks the user about registries, `$XDG_CONFIG_HOME/dugout/registry.toml`:
 *
 *     foreign-layer-hosts = ["downloads.example.com"]   # hosts of `urls` in manifests that may be asked
 *     [trusted-realms]                                  # token servers at other sites that get a registry's credentials
 *     "reg.example.com" = ["login.example.org"]
 */
export interface OwnConf {
  foreignLayerHosts: string[];
  trustedRealms: Map<string, string[]>;
}

const FILE_BYTES_MAX = 1024 * 1024;
const schema = v.object({
  "foreign-layer-hosts": optional(stringsSchema(1000)),
  "trusted-realms": optional(mapSchema(stringsSchema(100), 1000)),
});

/** @throws {DugoutError} REGISTRY_CONF_INVALID. */
export async function parseOwnConf(text: string, file: string): Promise<OwnConf> {
  const { parse } = await import("smol-toml");
  let table: unknown;
  try {
    if (text.length > FILE_BYTES_MAX) throw new Error(`it has more than ${FILE_BYTES_MAX} bytes`);
    table = parse(text, { maxDepth: 100 });
  } catch (error) {
    const why = error instanceof Error ? error.message.split("\n")[0] ?? "" : "not TOML";
    throw new DugoutError("REGISTRY_CONF_INVALID", `Cannot use ${quote(file)}: ${escapeText(why, 300)}`);
  }
  const parsed = parseSchema(schema, table, quote(file), "REGISTRY_CONF_INVALID");
  return {
    foreignLayerHosts: parsed["foreign-layer-hosts"] ?? [],
    trustedRealms: parsed["trusted-realms"] ?? new Map(),
  };
}

/** Reads the file; empty when there is none. */
export async function loadOwnConf(places: { env: Environment; home: string }): Promise<OwnConf> {
  const file = join(places.env["XDG_CONFIG_HOME"] || join(places.home, ".config"), "dugout", "registry.toml");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return { foreignLayerHosts: [], trustedRealms: new Map() };
    throw error;
  }
  return await parseOwnConf(text, file);
}
