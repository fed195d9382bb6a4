import * as v from "valibot";
import { DugoutError } from "#oci/error.ts";
import { mapSchema, optional, parseSchema, stringsSchema } from "#oci/schema.ts";
import { isDomain, parseTypedReference } from "#oci/reference.ts";
import { escapeText, quote } from "#oci/text.ts";

/** One `[[registry.mirror]]`. */
export interface Mirror {
  /** `host[:port][/path]`. */
  location: string;
  isInsecure: boolean;
  pulls: "all" | "digest-only" | "tag-only";
}

/** One `[[registry]]` table. */
export interface RegistryRule {
  /** `host[:port][/path][:tag]` or `*.host`. */
  prefix: string;
  /** Where what begins with the prefix really is; undefined: where it says. */
  location: string | undefined;
  isInsecure: boolean;
  isBlocked: boolean;
  mirrors: Mirror[];
  /** The file that says so, for messages. */
  file: string;
}

/** What all registries.conf files say together (containers-registries.conf(5)). */
export interface RegistriesConf {
  /** Undefined when no file says anything; then short names are Docker's. */
  searchRegistries: string[] | undefined;
  searchFile: string | undefined;
  shortNameMode: "enforcing" | "permissive" | "disabled";
  /** By prefix. */
  rules: Map<string, RegistryRule>;
  /** Short name → full name, both without tag. */
  aliases: Map<string, string>;
  credentialHelpers: string[];
}

export const EMPTY_REGISTRIES_CONF: RegistriesConf = {
  searchRegistries: undefined,
  searchFile: undefined,
  shortNameMode: "permissive",
  rules: new Map(),
  aliases: new Map(),
  credentialHelpers: [],
};

const FILE_BYTES_MAX = 1024 * 1024;
const DEPTH_MAX = 100;
const ENTRIES_MAX = 10_000;

const mirrorSchema = v.object({
  location: v.string(),
  insecure: optional(v.boolean()),
  "pull-from-mirror": optional(v.picklist(["", "all", "digest-only", "tag-only"])),
});
const ruleSchema = v.object({
  prefix: optional(v.string()),
  location: optional(v.string()),
  insecure: optional(v.boolean()),
  blocked: optional(v.boolean()),
  "mirror-by-digest-only": optional(v.boolean()),
  mirror: optional(v.pipe(v.array(mirrorSchema), v.maxLength(1000))),
});
const version1Schema = v.object({ registries: optional(stringsSchema(ENTRIES_MAX)) });
const fileSchema = v.object({
  "unqualified-search-registries": optional(stringsSchema(1000)),
  "short-name-mode": optional(v.picklist(["", "enforcing", "permissive", "disabled"])),
  "credential-helpers": optional(stringsSchema(100)),
  registry: optional(v.pipe(v.array(ruleSchema), v.maxLength(ENTRIES_MAX))),
  aliases: optional(mapSchema(v.string(), ENTRIES_MAX)),
  registries: optional(
    v.object({ search: optional(version1Schema), insecure: optional(version1Schema), block: optional(version1Schema) }),
  ),
});

type ConfFile = v.InferOutput<typeof fileSchema>;

function refuse(file: string, why: string): never {
  throw new DugoutError("REGISTRIES_CONF_INVALID", `Cannot use ${quote(file)}: ${why}`, {
    hint: "The format is described in containers-registries.conf(5)",
  });
}

/** Checks `host[:port][/path]`, without a tag where `allowsTag` is false. */
function checkPlace(text: string, file: string, field: string, allowsTag: boolean): string {
  const place = text.replace(/\/$/, "");
  const slash = place.indexOf("/");
  if (slash < 0 ? isDomain(place) : isDomain(place.slice(0, slash))) {
    if (slash < 0) return place;
    try {
      const parsed = parseTypedReference(place);
      if (parsed.domain !== undefined && (allowsTag || (parsed.tag === undefined && parsed.digest === undefined))) {
        return place;
      }
      // a host without dot or port counts as one here, though not in an image's name
      if (parsed.domain === undefined && parsed.tag === undefined && parsed.digest === undefined) return place;
    } catch {
      // told below, with the file
    }
  }
  return refuse(file, `${field} ${quote(text)} is not "host[:port][/path]"`);
}

/**
 * Parses the text of one file. TOML, version 2; the lists of version 1 are understood too.
 * @param file Its name, for messages.
 * @throws {DugoutError} REGISTRIES_CONF_INVALID.
 */
export async function parseRegistriesConf(text: string, file: string): Promise<ConfFile> {
  if (text.length > FILE_BYTES_MAX) refuse(file, `it has more than ${FILE_BYTES_MAX} bytes`);
  const { parse } = await import("smol-toml");
  let table: unknown;
  try {
    table = parse(text, { maxDepth: DEPTH_MAX });
  } catch (error) {
    refuse(file, escapeText(error instanceof Error ? error.message.split("\n")[0] ?? "" : "not TOML", 300));
  }
  return parseSchema(fileSchema, table, quote(file), "REGISTRIES_CONF_INVALID");
}

function addRules(conf: RegistriesConf, parsed: ConfFile, file: string): void {
  for (const raw of parsed.registry ?? []) {
    const named = raw.prefix || raw.location;
    if (named === undefined || named === "") refuse(file, "a [[registry]] has neither prefix nor location");
    const isWildcard = named.startsWith("*.");
    if (isWildcard && !isDomain(named.slice(2))) {
      refuse(file, `prefix ${quote(named)}: a wildcard stands for hosts only, as in "*.example.com"`);
    }
    const prefix = isWildcard ? named : checkPlace(named, file, "prefix", true);
    const digestOnly = raw["mirror-by-digest-only"] ?? false;
    const location = raw.location === undefined || raw.location === "" || raw.location === named
      ? undefined
      : checkPlace(raw.location, file, "location", false);
    conf.rules.set(prefix, {
      prefix,
      location,
      isInsecure: raw.insecure ?? false,
      isBlocked: raw.blocked ?? false,
      mirrors: (raw.mirror ?? []).map((mirror) => ({
        location: checkPlace(mirror.location, file, "location of a mirror", false),
        isInsecure: mirror.insecure ?? false,
        pulls: digestOnly ? "digest-only" : mirror["pull-from-mirror"] || "all",
      })),
      file,
    });
  }
}

function addVersion1(conf: RegistriesConf, parsed: ConfFile, file: string): void {
  const lists = parsed.registries;
  if (lists === undefined) return;
  if (parsed.registry !== undefined || parsed["unqualified-search-registries"] !== undefined) {
    refuse(file, "it mixes version 1 ([registries.…]) with version 2 ([[registry]])");
  }
  if (lists.search?.registries !== undefined) {
    conf.searchRegistries = lists.search.registries.map((host) => checkPlace(host, file, "registries.search", false));
    conf.searchFile = file;
  }
  const rule = (host: string): RegistryRule => {
    const prefix = checkPlace(host, file, "registries", false);
    const known = conf.rules.get(prefix) ??
      { prefix, location: undefined, isInsecure: false, isBlocked: false, mirrors: [], file };
    conf.rules.set(prefix, known);
    return known;
  };
  for (const host of lists.insecure?.registries ?? []) rule(host).isInsecure = true;
  for (const host of lists.block?.registries ?? []) rule(host).isBlocked = true;
}

/**
 * Puts files together in the order in which they were read: what is said later counts, rules of one prefix and aliases of one name replace
 * each other, an empty alias erases.
 */
export function mergeRegistriesConf(files: readonly { file: string; parsed: ConfFile }[]): RegistriesConf {
  const conf: RegistriesConf = {
    ...EMPTY_REGISTRIES_CONF,
    rules: new Map(),
    aliases: new Map(),
    credentialHelpers: [],
  };
  for (const { file, parsed } of files) {
    addVersion1(conf, parsed, file);
    addRules(conf, parsed, file);
    const search = parsed["unqualified-search-registries"];
    if (search !== undefined) {
      conf.searchRegistries = search.map((host) => checkPlace(host, file, "unqualified-search-registries", false));
      conf.searchFile = file;
    }
    conf.shortNameMode = parsed["short-name-mode"] || conf.shortNameMode;
    conf.credentialHelpers = parsed["credential-helpers"] ?? conf.credentialHelpers;
    for (const [name, value] of parsed.aliases ?? []) {
      if (value === "") conf.aliases.delete(name);
      else conf.aliases.set(name, checkPlace(value, file, `alias ${quote(name)}`, false));
    }
  }
  return conf;
}
