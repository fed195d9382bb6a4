import * as v from "valibot";
import { optional, parseSchema } from "#oci/schema.ts";
import { quote } from "#oci/text.ts";
import { DEFAULT_LAYER_LIMITS, type LayerLimits, LIMIT_NAMES } from "#storage/layer_limits.ts";
import { parseUserToml, readUserFile, type UserPlaces } from "./user_toml.ts";

const limit = optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1)));
const schema = v.strictObject({
  [LIMIT_NAMES.maxEntries]: limit,
  [LIMIT_NAMES.maxFileBytes]: limit,
  [LIMIT_NAMES.maxTotalBytes]: limit,
  [LIMIT_NAMES.maxRatio]: limit,
});

/**
 * What one layer may cost, as the user says in `$XDG_CONFIG_HOME/dugout/layers.toml`; sizes in bytes:
 *
 *     max-entries = 1_000_000
 *     max-file-size = 1_099_511_627_776
 *     max-total-size = 1_099_511_627_776
 *     max-ratio = 500
 *
 * @throws {DugoutError} LAYERS_CONF_INVALID, also for a name that it does not know.
 */
export async function loadLayerLimits(places: UserPlaces): Promise<LayerLimits> {
  const found = readUserFile(places, "layers.toml");
  if (found === undefined) return DEFAULT_LAYER_LIMITS;
  const code = "LAYERS_CONF_INVALID";
  const table = parseSchema(schema, await parseUserToml(found.text, found.file, code), quote(found.file), code);
  const valueOf = (name: keyof LayerLimits): number => table[LIMIT_NAMES[name]] ?? DEFAULT_LAYER_LIMITS[name];
  return {
    maxEntries: valueOf("maxEntries"),
    maxFileBytes: valueOf("maxFileBytes"),
    maxTotalBytes: valueOf("maxTotalBytes"),
    maxRatio: valueOf("maxRatio"),
  };
}
