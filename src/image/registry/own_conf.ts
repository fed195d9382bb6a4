import * as v from "valibot";
import { mapSchema, optional, parseSchema, stringsSchema } from "#oci/schema.ts";
import { quote } from "#oci/text.ts";
import { parseUserToml, readUserFile, type UserPlaces } from "../user_toml.ts";

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

const schema = v.object({
  "foreign-layer-hosts": optional(stringsSchema(1000)),
  "trusted-realms": optional(mapSchema(stringsSchema(100), 1000)),
});

/** @throws {DugoutError} REGISTRY_CONF_INVALID. */
export async function parseOwnConf(text: string, file: string): Promise<OwnConf> {
  const table = await parseUserToml(text, file, "REGISTRY_CONF_INVALID");
  const parsed = parseSchema(schema, table, quote(file), "REGISTRY_CONF_INVALID");
  return {
    foreignLayerHosts: parsed["foreign-layer-hosts"] ?? [],
    trustedRealms: parsed["trusted-realms"] ?? new Map(),
  };
}

/** Reads the file; empty when there is none. */
export async function loadOwnConf(places: UserPlaces): Promise<OwnConf> {
  const found = readUserFile(places, "registry.toml");
  if (found === undefined) return { foreignLayerHosts: [], trustedRealms: new Map() };
  return await parseOwnConf(found.text, found.file);
}
