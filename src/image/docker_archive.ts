/**
 * `manifest.json` of Docker's archives: a list of images, each a config, tags, and layers by path.
 *
 * @module
 */
import * as v from "valibot";
import { type Digest, hashBytes } from "#oci/digest.ts";
import { DugoutError } from "#oci/error.ts";
import { type ImageConfig, parseImageConfig } from "#oci/image_config.ts";
import { parseJson } from "#oci/json.ts";
import { LIMITS } from "#oci/limits.ts";
import { parseReference, type Reference } from "#oci/reference.ts";
import { optional, parseSchema } from "#oci/schema.ts";
import { quote } from "#oci/text.ts";
import type { MemberSource } from "./member_source.ts";

/** One image of the list. */
export type DockerItem = {
  readonly id: Digest;
  readonly config: ImageConfig;
  readonly configPath: string;
  readonly references: readonly Reference[];
  /** Paths of the layers, lowest first. */
  readonly layers: readonly string[];
};

/** The most images and tags that one archive may have. */
const ITEMS_MAX = 10_000;

const itemsSchema = v.pipe(
  v.array(v.object({
    Config: v.string(),
    RepoTags: optional(v.pipe(v.array(v.string()), v.maxLength(ITEMS_MAX))),
    Layers: optional(v.pipe(v.array(v.string()), v.maxLength(LIMITS.layers))),
  })),
  v.maxLength(ITEMS_MAX),
);

/**
 * Reads the list; undefined when the archive has none.
 * @throws {DugoutError} ARCHIVE_INVALID, CONFIG_INVALID, JSON_….
 */
export function readDockerItems(members: MemberSource): DockerItem[] | undefined {
  const bytes = members.read("manifest.json", LIMITS.manifestBytes);
  if (bytes === undefined) return undefined;
  const what = "the archive's manifest.json";
  const raw = parseSchema(
    itemsSchema,
    parseJson(bytes, what, { maxBytes: LIMITS.manifestBytes }),
    what,
    "ARCHIVE_INVALID",
  );
  return raw.map(({ Config, RepoTags, Layers }) => {
    const config = members.read(Config, LIMITS.configBytes);
    if (config === undefined) {
      throw new DugoutError(
        "ARCHIVE_INVALID",
        `Cannot load the archive: it has no member ${quote(Config)}, which its manifest.json needs`,
      );
    }
    return {
      id: hashBytes(config),
      config: parseImageConfig(config, `the config ${quote(Config)} of the archive`),
      configPath: Config,
      references: (RepoTags ?? []).map(parseTag),
      layers: Layers ?? [],
    };
  });
}

function parseTag(text: string): Reference {
  let reference: Reference | undefined;
  try {
    reference = parseReference(text);
  } catch { /* told below */ }
  if (reference?.tag === undefined || reference.digest !== undefined) {
    throw new DugoutError(
      "ARCHIVE_INVALID",
      `Cannot load the archive: ${quote(text)} in it is no image name with a tag`,
    );
  }
  return reference;
}

/** The list as bytes, for `save`. Tags are in Docker's short form, as Docker writes them. */
export function encodeDockerItems(
  items: readonly { config: string; tags: readonly string[] | null; layers: readonly string[] }[],
): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify(items.map(({ config, tags, layers }) => ({ Config: config, RepoTags: tags, Layers: layers }))) +
      "\n",
  );
}
